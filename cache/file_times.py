"""Times of files: which file systems keep them so that they tell of each change, and their order.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
from itertools import groupby

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Each change of a file here, or of a folder, is a new time of its change, which nobody can set.
# Not so: in memory, where who has mapped a file changes its times but once; in FAT, where setting
# one time sets both; in /proc, /dev/pts and FUSE, where names come and go without; in NFS and 9P,
# where another machine writes, and its times are known here later.
_TIMED = frozenset(
    b"bcachefs btrfs erofs ext2 ext3 ext4 f2fs iso9660 jfs overlay squashfs xfs zfs".split()
)
TICK_NS = 20_000_000  # Times of files are as coarse as the kernel's clock: two ticks at 100 Hz.
_NEAR_NS = 1_000_000_000  # So near to each other, files may have been written at once.
_untimed: list[frozenset[int]] = []  # Devices, once they have been looked up.


def keeps_times(device: int) -> bool:
    """Tell whether the times of a file say that it was written to, however it was.

    A device that no line of mountinfo names is one of btrfs or overlay: btrfs(5), "Subvolumes".
    """
    if not _untimed:
        try:
            with open("/proc/self/mountinfo", "rb") as file:
                _untimed.append(frozenset(untimed_devices(file.read())))
        except OSError:
            return False
    return device not in _untimed[0]


def untimed_devices(mountinfo: bytes) -> Iterator[int]:
    """Yield the devices whose files keep no times: proc_pid_mountinfo(5)."""
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(b" - ")
        if rest.split(b" ", 1)[0] not in _TIMED:
            major, _, minor = fields.split()[2].partition(b":")
            yield os.makedev(int(major), int(minor))


def is_set_back(said_ns: int, passed_ns: int) -> bool:
    """Tell whether a clock was set back: it says that less has passed than has.

    It may go by a thousandth slower for a while: adjtimex(2).
    """
    return passed_ns - said_ns > passed_ns // 1000 + TICK_NS


def reordered(looked: Iterable[tuple[str, int, int]]) -> str:
    """Say which file is no longer older or newer than another one as it was, as for make.

    What was written at once, as by a checkout, may come in any order within a moment.

    Args:
        looked: Paths, with the times of then and of now, in nanoseconds.
    """
    latest: tuple[str, int, int] | None = None  # Of those before: the oldest that is newest now.
    for _, group in groupby(sorted(looked, key=lambda each: each[1:]), key=lambda each: each[1]):
        files = list(group)
        first, last = files[0], files[-1]
        pair = (first, last) if last[2] - first[2] >= _NEAR_NS else None
        if latest is not None and (
            first[2] < latest[2] or (first[2] == latest[2] and first[1] - latest[1] >= _NEAR_NS)
        ):
            pair = latest, first
        if pair is not None:
            changed = next(path for path, then, now in pair if then != now)
            return f"{changed} was written in another order"
        if latest is None or last[2] > latest[2]:
            latest = last
    return ""
