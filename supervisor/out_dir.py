"""Scans OUT_DIR after a run, for what no build script may leave there.

Whoever compiles the crate uses OUT_DIR, and with other rights than the script had. `include_str!`
of a link that leaves it could embed a credential in the program: see `outward_links`.

Part of the supervisor: os and stat only.
"""

from __future__ import annotations

import os
import stat
from errno import ELOOP

from buildperm.rules.containment import LINKS_MOST, way
from buildperm.rules.pattern import covers
from buildperm.supervisor.disk_usage import DiskUsage
from buildperm.supervisor.tree_walk import walk
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MOST_NAMED = 20
"""Findings beyond this are not listed."""

MOST_PROGRAMS = 100
"""Programs beyond this are counted and not listed."""

STEPS_MOST = 100_000
"""Links that are followed in all, those that links lead through included."""

_TOO_MANY_STEPS = f"a link among more than {STEPS_MOST:,} that lead through one another"
_TOO_LONG = f"a link through more than {LINKS_MOST} others"
_KINDS = (
    (stat.S_ISFIFO, "a fifo"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_ANY_EXECUTE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_SETUID = stat.S_ISUID | stat.S_ISGID


class OutDirScan:
    """What a script has left in OUT_DIR."""

    def __init__(self) -> None:
        self.found: list[str] = []  # What must not be there, and why; empty if there is nothing.
        self.programs: list[str] = []  # What the kernel would run, relative, in notation.
        self.unlisted = 0  # Programs beyond MOST_PROGRAMS.
        self.usage = DiskUsage()


def scan(out_dir: bytes, why_outward: Callable[[bytes, bytes], str]) -> OutDirScan:
    """Scan `out_dir`, a path without links, after every process has ended.

    `why_outward` says what is wrong with a link that leaves it, by where that leads.
    """
    left = OutDirScan()
    follower = _LinkFollower(out_dir, why_outward)
    for path, about in walk(out_dir):
        if len(left.found) < MOST_NAMED:  # The run fails; there is no need to follow more links.
            why = about if isinstance(about, str) else _why(path, about, follower)
        else:
            why = ""
        if why:
            left.found.append(f"$OUT_DIR{encode(path[len(out_dir) :])}: {why}")
        if isinstance(about, str):
            continue
        left.usage.add(about)
        if about.st_mode & _ANY_EXECUTE and stat.S_ISREG(about.st_mode) and _is_program(path):
            if len(left.programs) < MOST_PROGRAMS:
                left.programs.append(encode(path[len(out_dir) + 1 :]))
            else:
                left.unlisted += 1
    left.programs.sort()
    return left


def _is_program(path: bytes) -> bool:
    """Tell whether the kernel would execute a file: execve(2), ELF and interpreter scripts."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return True  # A file may be executable and not readable.
    try:
        return os.read(descriptor, 4).startswith((b"\x7fELF", b"#!"))
    except OSError:
        return True
    finally:
        os.close(descriptor)


class _LinkFollower:
    """Follows the links of one tree, within bounds: a script can make each lead through others."""

    def __init__(self, out_dir: bytes, why_outward: Callable[[bytes, bytes], str]) -> None:
        self._out_dir = out_dir
        self._why_outward = why_outward
        self._left = STEPS_MOST

    def why(self, path: bytes) -> str:
        """Say what is wrong with a link; empty if nothing is."""
        passed, target = way(path)
        self._left -= len(passed)
        if self._left < 0:
            return _TOO_MANY_STEPS
        is_inside = all(covers(self._out_dir, place) for place in (target, *passed))
        if len(passed) >= LINKS_MOST and _is_endless(path):
            # A circle leads nowhere. A longer way is one that nobody has looked at to its end.
            return "" if is_inside and len(set(passed)) < len(passed) else _TOO_LONG
        return "" if is_inside else self._why_outward(path, target)


def _is_endless(path: bytes) -> bool:
    """Tell whether the kernel gives up on following a link: path_resolution(7), ELOOP."""
    try:
        os.stat(path)
    except OSError as error:
        return error.errno == ELOOP
    return False


def _why(path: bytes, about: os.stat_result, follower: _LinkFollower) -> str:
    mode = about.st_mode
    if stat.S_ISLNK(mode):
        return follower.why(path)
    for is_kind, name in _KINDS:
        if is_kind(mode):
            return name
    if stat.S_ISREG(mode) and mode & _SETUID:
        return "a setuid or setgid program"
    return ""
