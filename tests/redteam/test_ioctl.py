"""Controls of files and of the network that need no right to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import Bench

PRELUDE = """\
import fcntl, os, socket, struct, sys
def tries(name, call):
    try:
        call()
        print(name, "done")
    except OSError as error:
        print(name, error.errno)
"""


def _said(bench: Bench, body: str) -> list[str]:
    ended = bench.run(bench.script(f"{PRELUDE}{body}os._exit(sys.stdout.flush() or 0)"))
    return [line.decode() for line in ended.stdout.splitlines()]


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
    assert _said(bench, body) == ["set 1"], name


def test_no_socket_sets_up_the_network(bench: Bench) -> None:
    body = """
request = struct.pack("16sh22x", b"lo", 0)
tries("SIOCGIFFLAGS", lambda: fcntl.ioctl(socket.socket(), 0x8913, request))
"""
    assert _said(bench, body) == ["SIOCGIFFLAGS 1"]
