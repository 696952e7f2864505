"""Controls of files and of the network that need no right to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.programs import program_text
from tests.redteam.attempted_calls import call_outcomes

if TYPE_CHECKING:
    from tests.bench import Bench


@pytest.mark.parametrize(
    ("name", "number"), [("FS_IOC_SETFLAGS", 0x40086602), ("FS_IOC_FSSETXATTR", 0x401C5820)]
)
def test_a_file_that_is_only_readable_keeps_its_attributes(
    bench: Bench, name: str, number: int
) -> None:
    # As root it became immutable, so that nobody could change or remove it any more.
    (bench.package / "victim").write_text("x")
    body = f"""
file = open(os.environ["CARGO_MANIFEST_DIR"] + "/victim")
tries("set", lambda: fcntl.ioctl(file, {number}, bytes(32)))
"""
    assert call_outcomes(bench, body) == ["set 1"], name


BTRFS_SUBVOL_CREATE, BTRFS_SNAP_CREATE_V2, BTRFS_SNAP_DESTROY = 0x5000940E, 0x50009417, 0x5000940F


@pytest.mark.parametrize(
    ("name", "number", "size"),
    [
        # On btrfs a script planted a folder full of files so, `.cargo/config.toml` among them,
        # wherever it could list: no right of Landlock is asked for.
        ("BTRFS_IOC_SUBVOL_CREATE", BTRFS_SUBVOL_CREATE, 4096),
        ("BTRFS_IOC_SNAP_CREATE_V2", BTRFS_SNAP_CREATE_V2, 4096),
        ("BTRFS_IOC_SNAP_DESTROY", BTRFS_SNAP_DESTROY, 4096),
        ("FS_IOC_SET_ENCRYPTION_POLICY", 0x800C6613, 64),
        ("FS_IOC_ADD_ENCRYPTION_KEY", 0xC0506617, 256),
        ("EXT4_IOC_SETVERSION", 0x40086604, 8),
    ],
)
def test_a_folder_that_may_be_listed_takes_no_commands(
    bench: Bench, name: str, number: int, size: int
) -> None:
    body = f"""
folder = os.open(os.environ["CARGO_MANIFEST_DIR"], os.O_RDONLY)
tries("command", lambda: fcntl.ioctl(folder, {number}, bytearray({size})))
"""
    assert call_outcomes(bench, body) == ["command 1"], name


def test_what_only_tells_something_or_copies_is_left_to_the_file_system(bench: Bench) -> None:
    body = program_text("changes_flags.py")
    assert call_outcomes(bench, body) == []


def test_no_socket_sets_up_the_network(bench: Bench) -> None:
    body = """
request = struct.pack("16sh22x", b"lo", 0)
tries("SIOCGIFFLAGS", lambda: fcntl.ioctl(socket.socket(), 0x8913, request))
"""
    assert call_outcomes(bench, body) == ["SIOCGIFFLAGS 1"]
