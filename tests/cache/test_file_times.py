"""Where times tell of each change, and whether files are in another order by them."""

from __future__ import annotations

import itertools
import os
import random

import pytest

from buildperm.cache.file_times import is_set_back, reordered, untimed_devices

SECOND_NS = 1_000_000_000
MOUNTS = b"""\
22 1 0:20 / /proc rw,nosuid - proc proc rw
23 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
24 1 8:2 / /boot rw - vfat /dev/sda2 rw
25 1 0:31 / /tmp rw - tmpfs tmpfs rw
26 1 0:32 / /home rw - btrfs /dev/sda3 rw
27 1 0:33 / /mnt rw master:3 propagate_from:2 - fuse.sshfs me@there: rw
28 1 0:34 / /net rw - nfs4 there:/ rw
29 1 0:35 / /c rw - 9p drvfs rw
"""


def test_only_file_systems_that_are_known_keep_times() -> None:
    untimed = {os.minor(each) for each in untimed_devices(MOUNTS) if os.major(each) == 0}

    assert untimed == {20, 31, 33, 34, 35}
    assert os.makedev(8, 2) in untimed_devices(MOUNTS)
    assert os.makedev(8, 1) not in untimed_devices(MOUNTS)


def is_turned(looked: list[tuple[str, int, int]]) -> bool:
    """Compare each with each other one."""
    for (_, then, now), (_, other_then, other_now) in itertools.combinations(looked, 2):
        before, since = then - other_then, now - other_now
        if before * since < 0:
            return True
        if (before == 0) != (since == 0) and max(abs(before), abs(since)) >= SECOND_NS:
            return True
    return False


def test_the_order_is_that_of_each_with_each_other() -> None:
    chance = random.Random(1)
    found = {False: 0, True: 0}
    for _ in range(3000):
        times = [chance.choice((0, 1, 2, SECOND_NS, SECOND_NS + 1, 2 * SECOND_NS)) for _ in "123"]
        nows = [chance.choice((0, 1, 2, SECOND_NS, SECOND_NS + 1, 2 * SECOND_NS)) for _ in "123"]
        looked = [(str(at), *both) for at, both in enumerate(zip(times, nows, strict=True))]
        named = reordered(looked)

        assert bool(named) == is_turned(looked), looked
        changed = {name for name, then, now in looked if then != now}
        assert not named or named.split()[0] in changed
        found[bool(named)] += 1
    assert min(found.values()) > 100


def test_many_files_are_put_in_order_at_once() -> None:
    looked = [(str(at), at, at + 7) for at in range(100_000)]  # Each with each other: hours.

    assert reordered(looked) == ""
    assert reordered([*looked, ("last", 200_000, 3)]).endswith("in another order")


@pytest.mark.parametrize(
    ("said_s", "passed_s", "is_back"),
    [
        (5.0, 5.0, False),
        (3600.0, 5.0, False),  # Set forward: what is written is newer.
        (4.9, 5.0, True),
        (-3000.0, 5.0, True),
        (999.5, 1000.0, False),  # Slowed down by NTP.
    ],
)
def test_a_clock_that_goes_back_is_told(said_s: float, passed_s: float, is_back: bool) -> None:
    assert is_set_back(int(said_s * SECOND_NS), int(passed_s * SECOND_NS)) == is_back
