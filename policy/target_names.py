"""Target names: how grants call what a recording names by its path on one machine."""

from __future__ import annotations

import os
import posixpath
import stat
from typing import TYPE_CHECKING

from buildperm.policy.pattern_set import PatternSet
from buildperm.policy.root_paths import SystemPaths
from buildperm.rules import baseline, own_temporaries, profile_output
from buildperm.rules.containment import contained
from buildperm.rules.pattern import locate, matches, names_alike, nearest
from buildperm.tracer.notation import PLAIN, encode
from buildperm.tracer.recording_format import REUSED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildperm.tracer.recording.event import Executed
    from buildperm.tracer.recording.reader import Header

_NOT_OWN = PatternSet(baseline.NOT_OWN)
_SHEBANG_MOST = 256  # Bytes of a script that the kernel looks at: BINPRM_BUF_SIZE.


class TargetNames:
    """Names files and programs, each path once."""

    def __init__(self, header: Header, pids: Iterable[int]) -> None:
        """Prepare for a recording with `header`, of the processes `pids`."""
        self.path = header.path or os.environb.get(b"PATH", b"")
        self._places = header.places
        self._system = SystemPaths(header.root.path if header.root else b"")
        self._profile = profile_output.folder(header.places.get("OUT_DIR", b""))
        self._foreign = frozenset(header.foreign)
        self._foreign_longest = max(map(len, self._foreign), default=0)
        self._around = dict(header.places)
        self._around.pop("MANIFEST_DIR", None)
        self._pids = {str(pid % REUSED) for pid in pids}
        self._targets: dict[bytes, str] = {}
        self._folders: dict[bytes, str] = {}  # How they are called; empty: not all in them are so.
        self._roots = frozenset(header.places.values())
        self._programs: dict[bytes, tuple[str, bytes]] = {}

    def real(self, path: bytes) -> bytes:
        """Return a path with links resolved; what cannot be a path is none of them."""
        return self._system.real(path)

    def found(self, name: bytes) -> bytes | None:
        """Return what execvp(3) would start for `name`; None if nothing."""
        return self._system.which(name, self.path)

    def written(self, path: bytes) -> str:
        """Name what is written: what every profile has, and places of everybody, by their kind."""
        return self._beside(path) or _written(self.target(path))

    def _beside(self, path: bytes) -> str:
        """Name a file beside programs as every profile has it; empty for others."""
        return profile_output.known_as(path, self._profile)

    def target(self, path: bytes) -> str:
        """Name a file as a grant does, in portable text."""
        target = self._targets.get(path)
        if target is None:
            target = self._by_folder(path) or locate(path, self._places)
            if target.startswith("/proc/"):
                pid, slash, rest = target[6:].partition("/")
                if pid in self._pids:
                    target = f"/proc/self{slash}{rest}"
            self._targets[path] = target
        return target

    def _by_folder(self, path: bytes) -> str:
        """Name a file after its folder, which many share; empty where that is not all to know."""
        folder, _, name = path.rpartition(b"/")
        if not folder or name.translate(None, PLAIN) or path in self._roots:
            return ""
        known = self._folders.get(folder)
        if known is None:
            is_enough = names_alike(folder, self._places)
            known = self._folders[folder] = locate(folder, self._places) if is_enough else ""
        return f"{known}/{name.decode('ascii')}" if known else ""

    def read_target(self, path: bytes) -> str:
        """Name a file in the package's folder that is not the package's own, as others name it.

        Git's folder of the package alone is called after the package, as the preset `git` does.
        """
        if nearest(path, self._foreign, self._foreign_longest) is None:
            return self.target(path)
        around, target = locate(path, self._around), self.target(path)
        is_alone = not around.startswith("$WORKSPACE/.git") and _NOT_OWN.covers(target)
        return target if is_alone else around

    def program(self, path: bytes) -> tuple[str, bytes]:
        """Return how a grant would call a program, by name where PATH leads to it, and its file."""
        known = self._programs.get(path)
        if known is None:
            name = posixpath.basename(path)
            real_path = self.real(path)
            portable = self.target(real_path)
            found = self.found(name)
            if portable.startswith("$SYSROOT/"):
                known = portable, real_path
            elif found is not None and self.real(found) == real_path:
                known = encode(name), real_path
            else:
                text = self.target(path)
                is_inside = not text.startswith("$") or contained(path, self._places) == text
                # A grant of a path opens nothing that a link leads to out of its token's folder.
                known = (text if is_inside else self._by_name(real_path, portable)), real_path
            self._programs[path] = known
        return known

    def _by_name(self, path: bytes, portable: str) -> str:
        """Return the name of a file that PATH leads to; how grants call it, if there is none."""
        name = posixpath.basename(path)
        found = self.found(name)
        return portable if found is None or self.real(found) != path else encode(name)

    def interpreter(self, event: Executed) -> tuple[str, bytes]:
        """Name the interpreter of a script as its first line does: `sh`, whatever that links to."""
        named = _shebang(self._system.place(event.requested))
        if named and self.real(named) == self.real(event.path):
            return self.program(named)
        return self.program(event.path)


def _shebang(script: bytes) -> bytes:
    """Return the interpreter that a script names, if it is still there: execve(2).

    By now there may be anything at its path, even something that would keep its reader waiting.
    """
    try:
        if not stat.S_ISREG(os.stat(script).st_mode):
            return b""
        descriptor = os.open(script, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            start = file.read(_SHEBANG_MOST) if is_file else b""
    except (OSError, ValueError):
        return b""
    words = start[2:].partition(b"\n")[0].split(maxsplit=1) if start.startswith(b"#!") else []
    return words[0] if words and words[0].startswith(b"/") else b""


def _written(target: str) -> str:
    """Name what was written in the place of a folder of everybody by that folder.

    The names are those of one run. What Java counts is nobody's decision: `baseline.COUNTERS`.
    """
    staged = f"$TMP/{profile_output.STAGED}/"
    if target.startswith(staged):
        return profile_output.PREFIX + target.removeprefix(staged)
    folder = own_temporaries.known_as(target)
    name = "".join(target.split("/")[2:3])
    if not folder or not name:
        return target
    is_counter = any(matches(each, folder.replace("**", name)) for each in baseline.COUNTERS)
    return target if is_counter else folder
