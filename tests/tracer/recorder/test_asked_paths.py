"""Whatever a program asks for is collected, by the Python loop and by the inner one alike."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.tracer.recorded_child import Record

_ASKS = r"""
import os, sys
top = sys.argv[1]
os.chdir(top)
here = os.open("sub", os.O_PATH)
names = [
    *("file", "./file", "sub/../file", "sub//file", "file/", "none", "none/file", "file/none", "."),
    *("link/file", "link", "loop", "dangling", "x" * 300, "x" * 600, top + "/file", "/", "//etc"),
    *(top + "/none", top + "/./file", top + "/sub/../link/file", "/dev/null", "/dev/stdin"),
    *("/dev/fd/0", "/proc/self/status", "/proc/self/none", "/proc/thread-self/stat", "/etc/none"),
    *("../" * 40 + "etc/hostname", "../" + os.path.basename(top) + "/file"),
]
if len(sys.argv) > 2:
    names = [f"{top}/many{number}" for number in range(5000)]
for name in names:
    for again in range(2):
        for look in (os.stat, os.lstat, os.readlink, os.listxattr, os.statvfs, os.chdir):
            try:
                look(name)
            except OSError:
                pass
            os.chdir(top)
        os.access(name, os.X_OK)
        for start in (None, here):
            for asks in (os.stat, lambda name, dir_fd: os.close(os.open(name, 0, dir_fd=dir_fd))):
                try:
                    asks(name, dir_fd=start)
                except OSError:
                    pass
for name in ("none/tool", top + "/none/tool", "/none/tool"):
    try:
        os.execv(name, ["tool"])
    except OSError:
        pass
os.fstat(here)
os.stat(here)
if os.fork() == 0:
    os.chdir("sub")
    try:
        os.stat("in-child")
    except OSError:
        os._exit(0)
os.wait()
os.execv("/bin/true", ["true"])
"""


@pytest.mark.slow
@pytest.mark.parametrize("record", ["python"], indirect=True)  # Both are compared here.
@pytest.mark.parametrize("words", [(), ("many",)], ids=["in many ways", "many"])
def test_both_loops_collect_the_same(
    record: Record, inner_loop: bytes, tmp_path: Path, words: tuple[str, ...]
) -> None:
    top = tmp_path / "home"
    (top / "sub").mkdir(parents=True)
    (top / "file").touch()
    (top / "sub/file").touch()
    (top / "link").symlink_to("sub")
    (top / "loop").symlink_to("loop")
    (top / "dangling").symlink_to("nowhere")
    asks = tmp_path / "asks.py"
    asks.write_text(_ASKS)
    command = (os.path.realpath(sys.executable), "-IS", str(asks), str(top), *words)

    by_python, by_inner = (
        replace(record, library=library)(*command, collects=True) for library in (b"", inner_loop)
    )

    assert by_inner.python_stops < by_python.python_stops
    for ours, theirs in zip(by_python.asked, by_inner.asked, strict=True):
        assert _plain(ours) == _plain(theirs)
    opened, looked, executed, read_links = map(_plain, by_inner.asked)
    home = os.fsencode(top)
    assert not {home + b"/many7", home + b"/link"}.isdisjoint(read_links)
    if words:
        assert {home + b"/many%d" % number for number in range(5000)} <= looked
        return
    assert {home + b"/file", home + b"/link/file"} <= opened
    assert {home + b"/none", home + b"/sub/none", home + b"/sub/in-child"} <= looked
    assert home + b"/sub/in-child" not in read_links
    assert {home + b"/none/tool", b"/none/tool", b"/bin/true"} <= executed


@pytest.mark.parametrize(
    ("call", "is_known"),
    [
        ("libc.access(b'/none', 0)", True),
        ("libc.access(None, 0)", True),  # The kernel reads nothing there.
        ("libc.access(ctypes.c_void_p(16), 0)", False),
        ("libc.open(ctypes.c_void_p(16), 0)", False),
        ("libc.execv(ctypes.c_void_p(16), None)", False),
    ],
)
def test_what_cannot_be_read_is_said_not_to_be_known(
    record: Record, call: str, is_known: bool
) -> None:
    code = f"import ctypes; libc = ctypes.CDLL(None); assert {call} == -1"

    ended = record(os.path.realpath(sys.executable), "-ISc", code, collects=True)

    assert (not ended.reason) is is_known, ended.reason


def _plain(paths: frozenset[bytes]) -> set[bytes]:
    """Return paths without what means nothing in them, and without numbers of processes."""
    found = set()
    for path in paths:
        parts = [part for part in path.split(b"/") if part not in (b"", b".")]
        plain = b"/" * path.startswith(b"/") + b"/".join(parts)
        found.add(re.sub(rb"(?<=^/proc/)\d+|(?<=/task/)\d+", b"N", plain))
    return found
