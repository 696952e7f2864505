"""Starts a build script by a C program: `supervisor/starting/starter.c`, which has the same layout.

Forking a process as large as this one, and running Python in the child, takes longer than many
build scripts; with a sandbox wrapper, a second interpreter takes longer still. The starter is
executed as posix_spawn(3) does it, without copying anything, and does what `supervisor.launch` does
in a child where there is no starter.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import struct
import sys

from buildperm.rules import limits as policy
from buildperm.supervisor import hardening

if sys.platform != "win32":
    import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HEAD = struct.Struct("=I7i8IQ")
_DEFAULT = (1, 2, 13, 15, 25)  # SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGXFSZ: signal(7), Linux.


class StarterInputs:
    """What a starter is told."""

    __slots__ = (
        *("arguments", "filter", "is_room", "kept", "late", "limits", "program", "ruleset"),
        *("variables", "words"),
    )

    def __init__(
        self,
        program: bytes,
        arguments: Sequence[bytes],
        variables: Mapping[bytes, bytes],
        filter_: bytes,
        ruleset: int,
        limits: Mapping[str, int],
        kept: Sequence[int],
        late: Sequence[tuple[bytes, int]] = (),
        words: Sequence[bytes] = (),
        *,
        is_room: bool = False,
    ) -> None:
        """Take what is to be started.

        Args:
            program: Absolute path of the script.
            arguments: With the name that it knows itself by.
            variables: Its environment.
            filter_: The seccomp program.
            ruleset: The descriptor of Landlock's.
            limits: See `rules.limits`.
            kept: Descriptors that it gets.
            late: Landlock rules by path for what is only there within the sandbox wrapper.
            words: The sandbox wrapper with its arguments; empty for none.
            is_room: They are arguments for bubblewrap, and the starter does the same by itself.
        """
        self.program = program
        self.arguments = arguments
        self.variables = variables
        self.filter = filter_
        self.ruleset = ruleset
        self.limits = limits
        self.kept = kept
        self.late = late
        self.words = words
        self.is_room = is_room


class StarterPipes:
    """The ends of pipes that a starter gets: to be told to go on, and to tell what failed."""

    __slots__ = ("failed", "waiting")

    def __init__(self, waiting: int, failed: int) -> None:
        self.waiting = waiting
        self.failed = failed


def spawn(
    starter: bytes, inputs: StarterInputs, pipes: StarterPipes, stdout: int, stderr: int
) -> int:
    """Execute the starter, which waits for a `!` on its pipe, and return its process ID.

    Args:
        starter: Its path.
        inputs: What it is told.
        pipes: What it gets.
        stdout: What the script gets as standard output.
        stderr: And as standard error.

    Raises:
        OSError: It cannot be executed.
    """
    own = os.open(starter, os.O_PATH | os.O_CLOEXEC)
    message = os.memfd_create("buildperm", os.MFD_CLOEXEC)
    try:
        words = list(inputs.words)
        is_wrapped = bool(words) and not inputs.is_room
        if is_wrapped:
            words += [b"/proc/self/fd/%d" % own, b"%d" % message, b"within"]
        content = _message(inputs, words, pipes, (stdout, stderr, own))
        while content:
            content = content[os.write(message, content) :]
        given = [pipes.waiting, pipes.failed, inputs.ruleset, stdout, stderr, message]
        given += [*inputs.kept, own] if is_wrapped else inputs.kept
        return os.posix_spawn(
            starter,
            [b"starter", b"%d" % message],
            {},
            # To the same number: it is not closed on execution then.
            file_actions=[(os.POSIX_SPAWN_DUP2, each, each) for each in given],
            setsigmask=(),
            setsigdef=_DEFAULT,
        )
    finally:
        os.close(message)
        os.close(own)


def said(text: bytes, program: str) -> tuple[str, int]:
    """Return what a starter has failed to do and why, as an errno, from what it told.

    Args:
        text: What came out of the pipe.
        program: The script, without what a person could not read.
    """
    what, _, number = text.partition(b"\0")
    return f"execute `{program}`" if what == b"execute" else what.decode(), int(number)


def _message(
    inputs: StarterInputs,
    words: Sequence[bytes],
    pipes: StarterPipes,
    descriptors: tuple[int, int, int],
) -> bytes:
    limits = _limits(inputs.limits)
    variables = [b"%s=%s" % variable for variable in inputs.variables.items()]
    late_paths = [path for path, _ in inputs.late]
    texts = [inputs.program, *late_paths, *words, *inputs.arguments, *variables]
    kept = [*inputs.kept, *[0] * (len(inputs.kept) % 2)]
    body = b"".join(
        (
            b"".join(struct.pack("=QQ", *limit) for limit in limits),
            inputs.filter,
            b"".join(struct.pack("=Q", rights) for _, rights in inputs.late),
            struct.pack(f"={len(kept)}i", *kept),
            b"".join(text + b"\0" for text in texts),
        )
    )
    counts = (
        *(len(inputs.kept), len(limits), len(inputs.filter) // 8, len(inputs.late)),
        *(len(words), len(inputs.arguments), len(variables), inputs.is_room),
    )
    head = _HEAD.pack(
        _HEAD.size + len(body),
        os.getpid(),
        *(pipes.waiting, pipes.failed, inputs.ruleset, *descriptors),
        *counts,
        0 if inputs.is_room else hardening.CAPABILITIES,  # As under bubblewrap.
    )
    return head + body


def _limits(wanted: Mapping[str, int]) -> list[tuple[int, int]]:
    """List resource limits and what they are lowered to: see `hardening.set_limits`."""
    found = [(resource.RLIMIT_CORE, 0)]
    for name, which in hardening.LIMITED:
        most = policy.value(wanted, name)
        if most != policy.NONE:
            found.append((which, most))
    return found
