"""Links are followed as a build script would: what this process is must not come into it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildperm.workflow.link_walk import followed, is_own

HERE = b"/ws/app"


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        (b"/proc/self/maps", b"/proc/self/maps"),
        (b"/proc/self", b"/proc/self"),
        (b"/proc/thread-self/status", b"/proc/thread-self/status"),
        (b"/proc/mounts", b"/proc/self/mounts"),
        (b"/proc/net/tcp", b"/proc/self/net/tcp"),
        (b"/dev/fd/7", b"/proc/self/fd/7"),
        (b"/dev/stdin", b"/proc/self/fd/0"),
        (b"/proc/self/cwd/x", b"/ws/app/x"),
        (b"/proc/self/cwd/../x", b"/ws/x"),
        (b"/proc/self/task/1/cwd/x", b"/ws/app/x"),
        (b"/proc/self/root/absent/y", b"/absent/y"),
        (b"/proc/self/exe", b"/proc/self/exe"),
        (b"/proc/self/../1/maps", b"/proc/1/maps"),
        (b"/proc/self/fd/../maps", b"/proc/self/maps"),
        (b"/proc//./self/maps", b"/proc/self/maps"),
        (b"/", b"/"),
        (b"/../absent//z", b"/absent/z"),
    ],
)
def test_a_process_is_that_of_the_script(path: bytes, leads_to: bytes) -> None:
    assert followed(path, HERE) == leads_to


def test_another_process_stays_another_one() -> None:
    for own in (b"/proc/%d" % os.getpid(), b"/proc/1"):
        assert followed(own + b"/root/etc/x", HERE) == own + b"/root/etc/x"


def test_where_nobody_knows_where_it_starts_its_folder_is_no_answer() -> None:
    assert followed(b"/proc/self/cwd/x", None) == b"/proc/self/cwd/x"
    assert is_own(followed(b"/proc/self/cwd/x", None))
    assert not is_own(followed(b"/proc/self/root/x", None))


def test_ordinary_links_are_followed_to_the_end(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_text("x")
    (tmp_path / "one").symlink_to("real")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "own").symlink_to("/proc/self")
    top = os.fsencode(tmp_path.resolve())

    for name in (b"two/file", b"one/../real/file", b"two/./file", b"real/absent/x"):
        path = os.path.join(os.fsencode(tmp_path), name)
        assert followed(path, HERE) == os.path.realpath(path)
    assert followed(top + b"/loop/x", HERE) == top + b"/loop/x"
    assert followed(top + b"/own/maps", HERE) == b"/proc/self/maps"
    assert followed(top + b"/own/cwd/x", HERE) == b"/ws/app/x"
