"""Starts a program: fork, wait until the recorder is attached, confine, execute.

With a sandbox wrapper, a command of the system such as bubblewrap, this takes two steps:

    fork ─▶ descriptors, limits ─▶ execute the wrapper ─▶ `wrapper_exec` within ─▶ build script
                                                       capabilities, Landlock, seccomp

since Landlock would refuse the wrapper its mounts. The wrapper and the interpreter inside get no
argument and no variable that the script, or its environment, could have chosen.

Where there is a starter, a C program, it does all of this instead: see `supervisor.starter`.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import errno
import marshal
import os
import sys

from buildperm.supervisor import hardening, landlock, starter, syscalls
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Mapping, Sequence
    from importlib.abc import SourceLoader
    from types import CodeType
else:
    import _signal


_START = (
    b"import marshal,posix;f=%d;c,t=marshal.loads(posix.read(f,%d));posix.close(f);"
    b"g={'__name__':'inner'};exec(c,g);g['main'](t)"
)
"""Runs what the memory file behind a descriptor holds: the code of `wrapper_exec`, and what it is
told. The script does not get that file."""

PYTHON = os.path.realpath(os.fsencode(sys.executable))  # Of a virtual environment only a link.


class SandboxWrapper:
    """The command around a build script, started before the script is confined."""

    def __init__(
        self,
        words: Sequence[bytes],
        told: Sequence[bytes] = (),
        *,
        own_proc: bool = False,
        is_room: bool = False,
    ) -> None:
        """Take what it is started with.

        Args:
            words: Its absolute path and its arguments. The command that it has to execute in the
                end is appended.
            told: More arguments, which bubblewrap reads from a descriptor: a command line can be
                seen by everybody and has an end.
            own_proc: `/proc` is another one within.
            is_room: Where there is a starter, it does by itself what bubblewrap is told.
        """
        self.words = list(words)
        self.told = list(told)
        self.own_proc = own_proc
        self.is_room = is_room


def needed() -> list[bytes]:
    """List what has to exist inside a sandbox wrapper to run `supervisor.wrapper_exec`."""
    return [PYTHON, *{os.path.realpath(os.fsencode(p)) for p in _PREFIXES}]


_PREFIXES = {sys.base_prefix, sys.base_exec_prefix}


class Launch:
    """Starts one script; everything is decided and prepared before the fork."""

    def __init__(
        self,
        program: bytes,
        arguments: Sequence[bytes],
        environment: Mapping[bytes, bytes],
        rights: Mapping[bytes, int],
        seccomp: bytes,
        abi: int,
        limits: Mapping[str, int],
        kept: Sequence[int],
        wrapper: SandboxWrapper | None = None,
        starter_path: bytes = b"",
    ) -> None:
        """Make the Landlock ruleset.

        Args:
            program: Absolute path of the real program.
            arguments: With the name that the script knows itself by.
            environment: All of it.
            rights: Landlock rights by path.
            seccomp: The filter.
            abi: Landlock's, as probed.
            limits: See `rules.limits`.
            kept: Descriptors that it gets, such as those of the jobserver.
            wrapper: The command around it; None for none.
            starter_path: The program that starts it; empty for none.

        Raises:
            OSError: Landlock refuses a rule.
        """
        self._program = program
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self._seccomp = seccomp
        self._limits = limits
        self._kept = list(kept)
        self._wrapper = wrapper
        self._starter = starter_path
        self._late: list[tuple[bytes, int]] = []  # Rules for what is only there within the wrapper.
        self._ruleset = landlock.ruleset(abi)
        for path, allowed in rights.items():
            if wrapper is not None and wrapper.own_proc and path.startswith(b"/proc/"):
                self._add_late(path, allowed & landlock.file_rights(abi))
            else:
                landlock.allow(self._ruleset, path, allowed, abi)
        self._failure, self._failed = os.pipe2(os.O_CLOEXEC)
        self._waiting, self._go = os.pipe2(os.O_CLOEXEC)

    def fork(self, stdout: int, stderr: int) -> int:
        """Make the child, which waits for `release`, and return its process ID."""
        if self._starter:
            pid = self._spawn(stdout, stderr)
        else:
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                self._run(parent, stdout, stderr)
        os.close(self._failed)
        os.close(self._waiting)
        os.close(self._ruleset)
        return pid

    def release(self) -> None:
        """Let the child continue: the recorder is attached now."""
        try:
            os.write(self._go, b"!")
        except BrokenPipeError:
            pass  # It has been killed meanwhile; waiting for it tells.
        os.close(self._go)

    def failure(self) -> str:
        """Return why the child failed to execute the program; empty if it did not fail.

        To be asked after the child has ended or executed.
        """
        text = os.read(self._failure, 4096)
        os.close(self._failure)
        if b"\0" not in text:
            return text.decode("utf-8", "replace")
        what, code = starter.said(text, encode(self._program))
        is_too_deep = code == errno.E2BIG and what.startswith("Landlock")
        return f"{what}: {landlock.TOO_DEEP if is_too_deep else os.strerror(code)}"

    def _add_late(self, path: bytes, rights: int) -> None:
        if not os.path.isdir(path):
            rights &= landlock.FILE_RIGHTS
        if rights:
            self._late.append((path, rights))

    def _spawn(self, stdout: int, stderr: int) -> int:
        words: list[bytes] = []
        kept = list(self._kept)
        is_room = self._wrapper is not None and self._wrapper.is_room
        if self._wrapper is not None:
            words = self._wrapper.told if is_room else list(self._wrapper.words)
            if self._wrapper.told and not is_room:
                told = _in_memory(b"".join(word + b"\0" for word in self._wrapper.told))
                kept.append(told)  # bubblewrap closes it.
                words += [b"--args", b"%d" % told]
        inputs = starter.StarterInputs(
            self._program,
            self._arguments,
            self._environment,
            self._seccomp,
            self._ruleset,
            self._limits,
            kept,
            self._late,
            words,
            is_room=is_room,
        )
        pipes = starter.StarterPipes(self._waiting, self._failed)
        try:
            return starter.spawn(self._starter, inputs, pipes, stdout, stderr)
        finally:
            for descriptor in kept[len(self._kept) :]:
                os.close(descriptor)

    def _run(self, parent: int, stdout: int, stderr: int) -> None:
        """Be the child; never returns."""
        try:
            hardening.default_signals()
            os.close(self._go)
            if os.read(self._waiting, 1) != b"!":
                os._exit(127)
            os.setsid()
            if not hardening.die_with_parent(parent, _signal.SIGKILL):
                os._exit(127)
            nothing = os.open(b"/dev/null", os.O_RDWR | os.O_CLOEXEC)
            for descriptor, place in ((nothing, 0), (stdout, 1), (stderr, 2)):
                os.dup2(descriptor, place)
            # Landlock's and the pipe of failures are closed on execution.
            hardening.close_but([*self._kept, self._ruleset, self._failed])
            for descriptor in self._kept:
                os.set_inheritable(descriptor, True)
            hardening.set_limits(self._limits)
            syscalls.control(syscalls.PR_SET_NO_NEW_PRIVS, 1)
            if self._wrapper is not None:
                self._enter(self._wrapper)
            syscalls.keep_capabilities(hardening.CAPABILITIES)
            landlock.restrict(self._ruleset)
            syscalls.install(self._seccomp)
            os.execve(self._program, self._arguments, self._environment)  # noqa: S606 - no shell
        except OSError as error:
            what = error.strerror or "failed"
            if error.filename is not None:
                what = f"execute `{encode(os.fsencode(error.filename))}`: {what}"
            os.write(self._failed, what.encode())
        finally:
            os._exit(127)

    def _enter(self, wrapper: SandboxWrapper) -> None:
        """Execute the wrapper, with `wrapper_exec` as its command; all else is in a file."""
        payload = (
            *(self._program, self._arguments, self._environment, self._seccomp),
            *(self._ruleset, self._late, self._failed, hardening.CAPABILITIES),
        )
        words = list(wrapper.words)
        if wrapper.told:
            told = _in_memory(b"".join(word + b"\0" for word in wrapper.told))
            words += [b"--args", b"%d" % told]
        content = marshal.dumps((code_within(), payload))
        words += [PYTHON, b"-ISc", _START % (_in_memory(content), len(content))]
        for descriptor in (self._ruleset, self._failed):
            os.set_inheritable(descriptor, True)
        os.execve(words[0], words, {})  # noqa: S606 - no shell


def code_within() -> CodeType:
    """Return the compiled code of `wrapper_exec`, kept beside it by the import system."""
    from buildperm.supervisor import wrapper_exec

    loader: SourceLoader = wrapper_exec.__loader__  # type: ignore[assignment]  # for the import system
    code = loader.get_code(wrapper_exec.__name__)
    assert code is not None  # That would be a module without a source.
    return code


def _in_memory(content: bytes) -> int:
    """Return an inheritable descriptor to read `content` from."""
    descriptor = os.memfd_create("buildperm", 0)
    while content:
        content = content[os.write(descriptor, content) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
