"""Scans OUT_DIR after a run, for what no build script may leave there.

Whoever compiles the crate uses OUT_DIR, and with other rights than the script had. `include_str!`
of a link that leaves it could embed a credential in the program: see `outward_links`.

Part of the supervisor: os and stat only.
"""

from __future__ import annotations

import os
import stat

from buildperm.rules.containment import links
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
    for path, about in walk(out_dir):
        why = about if isinstance(about, str) else _why(out_dir, path, about, why_outward)
        if why and len(left.found) < MOST_NAMED:
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


def _why(
    out_dir: bytes,
    path: bytes,
    about: os.stat_result,
    why_outward: Callable[[bytes, bytes], str],
) -> str:
    mode = about.st_mode
    if stat.S_ISLNK(mode):
        target = os.path.realpath(path)
        if all(covers(out_dir, place) for place in (target, *links(path))):
            return ""
        return why_outward(path, target)
    for is_kind, name in _KINDS:
        if is_kind(mode):
            return name
    if stat.S_ISREG(mode) and mode & _SETUID:
        return "a setuid or setgid program"
    return ""
