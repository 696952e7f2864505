"""What an executor is sent of a run: by the inputs of an earlier one, and nothing else.

A file that was read is sent as it is now. One that was only looked at is sent as so many zeros, and
what a listed folder merely names as nothing but the name: who reads these finds something else than
here, which is noticed, as all that was read is compared when the result is back.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import stat

from buildperm.cache.input_kind import ABSENT, FILE, FOLDER, KERNEL, LINK, LISTING, LOOK
from buildperm.cache.run_inputs import RunInputs
from buildperm.rules import sensitive, tier
from buildperm.rules.pattern import locate
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from buildperm.cache.input_kind import Input
    from buildperm.cache.path_tokens import PathTokens
    from buildperm.supervisor.run import Run

    Node: TypeAlias = list[str | int]
    """Kind, path, then: of a file where it is, of zeros how many, of a link its text."""

ZEROS, MADE = "zeros", "made"
"""Besides FILE, FOLDER and LINK: so many NUL characters; a file that each build makes anew.

When that was is not sent: an engine that has done the same action before would not know it again.
"""

_THEIRS = (b"/dev", b"/proc")  # An executor has its own.
_HIDDEN = b"/tmp"  # Likewise: an empty one is mounted over what was sent.
_ZEROS_MOST = 64 << 20  # Bytes of one file that was only looked at.
_COPY_MOST = 1 << 20
_NEVER_NS = 1 << 63


class NotSentError(Exception):
    """The run has to be here; the text says why, as a clause."""


class InputRoot:
    """The files, folders and links of one action, by path."""

    def __init__(self, run: Run, tokens: PathTokens) -> None:
        self.nodes: dict[bytes, Node] = {}
        self.copies: dict[bytes, bytes] = {}  # What is to be sent as it was read.
        self._run = run
        self._tokens = tokens
        self._plain: set[bytes] = set()  # Folders that no link leads to.

    def add_inputs(self, inputs: Iterable[Input]) -> None:
        """Add what an earlier run has depended on, as it is now.

        Raises:
            NotSentError: It is sensitive, or cannot be put where an executor would find it.
            OSError: It cannot be looked at.
            ValueError: An input is none.
        """
        for each in inputs:
            path = self._tokens.real(str(each[1]))
            if _is_in(path, _THEIRS):
                continue
            if each[0] == ABSENT:
                if os.path.lexists(path):
                    raise NotSentError(f"{each[1]} is there now, and was not when it was recorded")
                above = os.path.dirname(path)
                if os.path.isdir(above) and above != _HIDDEN:
                    self._check_place(above, str(each[1]))
                    self.nodes.setdefault(
                        above, [FOLDER, encode(above)]
                    )  # What is missing there is no more than this.
                continue
            self._check_place(path, str(each[1]))
            if each[0] not in (FOLDER, LINK):  # These tell no more than their names.
                self._check(path, str(each[1]))
            try:
                self._add(str(each[0]), path)
            except FileNotFoundError as error:
                raise NotSentError(f"{each[1]} is gone since it was recorded") from error

    def add_program(self, path: bytes) -> None:
        """Add a program, with what the kernel starts it with.

        Raises:
            NotSentError: That cannot be put where an executor would find it.
            OSError: It cannot be read.
        """
        found = RunInputs(self._tokens, (), _NEVER_NS, is_staged=True)
        found.add_executed(path)
        if found.reason:
            raise NotSentError(found.reason)
        self.add_inputs(found.inputs())
        real = os.path.realpath(path)
        self.nodes[real] = [MADE, encode(real), encode(real)]

    def add_folder(self, path: bytes) -> None:
        """Add an empty folder; what lies in there may be added as well.

        Raises:
            NotSentError: An executor would not find it.
        """
        self._check_place(path, encode(path))
        self.nodes.setdefault(path, [FOLDER, encode(path)])

    def add_file(self, path: bytes, source: bytes) -> None:
        """Add one of our own files, which lies at `source`."""
        self.nodes[path] = [MADE, encode(path), encode(source)]

    def holds(self, kind: str, path: bytes) -> bool:
        """Tell whether an input like this was sent: what was not is not there, or an executor's."""
        if _is_in(path, _THEIRS) or kind == ABSENT:
            return True
        node = self.nodes.get(path)
        if kind == KERNEL:
            return node is not None
        if kind == FILE:
            return node is not None and node[0] == FILE
        if kind == LINK:
            return node is not None and node[0] == LINK
        is_above = any(each.startswith(path.rstrip(b"/") + b"/") for each in self.nodes)
        return node is not None or (is_above and kind in (LOOK, FOLDER))

    def _check(self, path: bytes, named: str) -> None:
        run = self._run
        why = tier.why(path, run.held, run.held_longest)
        why = why or sensitive.why(locate(path, run.places), writing=False)
        if why:
            raise NotSentError(f"it reads {named}, and nothing sensitive is sent: {why}")

    def _check_place(self, path: bytes, named: str) -> None:
        """Make sure that an executor would find it, and that it is where it is called.

        A link above it that has come since would lead to what the script has never been granted.
        """
        above = os.path.dirname(path)
        if above not in self._plain:
            if os.path.realpath(above) != above:
                raise NotSentError(f"a link leads to {named} since it was recorded")
            self._plain.add(above)
        if _is_in(path, (_HIDDEN,)) and path != _HIDDEN:
            raise NotSentError(
                f"{named} is in {encode(_HIDDEN)}, of which executors have their own"
            )

    def _add(self, kind: str, path: bytes) -> None:
        about = os.lstat(path)
        if stat.S_ISLNK(about.st_mode):
            self.nodes[path] = [LINK, encode(path), encode(os.readlink(path))]
        elif stat.S_ISDIR(about.st_mode):
            self.nodes.setdefault(path, [FOLDER, encode(path)])
            if kind in (LISTING, KERNEL):
                self._add_names(path)
        elif not stat.S_ISREG(about.st_mode):
            raise NotSentError(f"{encode(path)} is neither a file nor a folder")
        elif kind == KERNEL:  # Of /sys, which few executors have; its size is not what it says.
            with open(path, "rb") as file:
                self.copies[path] = file.read(_COPY_MOST)
        elif kind == FILE:
            self.nodes[path] = [FILE, encode(path), encode(path)]
        else:
            self._add_zeros(path, about.st_size)

    def _add_names(self, folder: bytes) -> None:
        for entry in os.scandir(folder):
            path = entry.path
            if entry.is_symlink():
                self.nodes.setdefault(path, [LINK, encode(path), encode(os.readlink(path))])
            elif entry.is_dir():
                self.nodes.setdefault(path, [FOLDER, encode(path)])
            else:
                self._add_zeros(path, 0)

    def _add_zeros(self, path: bytes, size: int) -> None:
        known = self.nodes.get(path)
        if known is None or (known[0] == ZEROS and int(known[2]) < size):
            if size > _ZEROS_MOST:
                raise NotSentError(f"{encode(path)} is too large to stand in for")
            self.nodes[path] = [ZEROS, encode(path), size]


def _is_in(path: bytes, folders: Iterable[bytes]) -> bool:
    return any(path == each or path.startswith(each + b"/") for each in folders)
