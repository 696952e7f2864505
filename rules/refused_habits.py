"""What is refused each time, whatever is there, so that the refusal says nothing.

landlock(7) answers EACCES before the file is asked, and seccomp(2) by the number of the call. Links
to a process are none of these.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

from buildperm.rules import baseline
from buildperm.rules.pattern import locate, matches
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# Who closes all descriptors lists /proc/self/fd.
_PROGRAM_READS = {each for each in baseline.QUIET if "*" not in each and each[0] == "/"}
_PROGRAM_READS = (_PROGRAM_READS | baseline.PASSED_BY | {"/proc/self/fd"}) - {"/proc", "/proc/self"}
_READS = _PROGRAM_READS - set(baseline.OF_PROGRAMS)
# Folders that LD_LIBRARY_PATH names, as Cargo sets it: who looks for a library lists them.
_LISTINGS = tuple(
    each for each in baseline.QUIET if each.startswith("$TARGET_DIR") and "**" not in each
)

WRITES = frozenset({"/dev/tty", "/dev/ptmx"})
"""Paths."""

CALLS = frozenset(
    each for each in baseline.QUIET if each.replace("_", "").isalnum() or "SECCOMP" in each
)
"""Names, as events have them."""


def is_socket(address: str) -> bool:
    """Tell whether connecting there is such a habit: seccomp(2) does not see where to."""
    return any(matches(pattern, address) for pattern in baseline.QUIET_SOCKETS)


def is_read(path: bytes, places: Mapping[str, bytes], *, is_direct: bool) -> bool:
    """Tell whether reading this is such a habit.

    Args:
        path: What is read.
        places: Where the run is.
        is_direct: The script itself reads it, not a program that it has started.
    """
    if encode(path) in (_READS if is_direct else _PROGRAM_READS):
        return True
    target = locate(path, places)
    return any(matches(pattern, target) for pattern in _LISTINGS)
