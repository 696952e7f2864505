"""What the sandbox refused is told from what would have failed anyway."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from buildperm.tracer.recorder import refusal
from buildperm.tracer.recording.event import Executed, FileOpened, PathChanged
from tests.programs import program_text

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tracer.recorded_child import Record, Recorded

SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/dev")


def landlock_is_missing() -> bool:
    """Say whether this kernel has no Landlock: landlock_create_ruleset(2), version query."""
    import ctypes

    return bool(ctypes.CDLL(None).syscall(444, None, 0, 1) < 3)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a folder with an inside that is granted and an outside that is not."""
    for name in ("in", "out", "out/folder"):
        (tmp_path / name).mkdir()
    for name in ("in/file", "out/file", "out/locked", "out/victim"):
        (tmp_path / name).write_text("x")
    (tmp_path / "in" / "way-out").symlink_to(tmp_path / "out" / "file")
    (tmp_path / "out" / "locked").chmod(0)
    tool = tmp_path / "out" / "tool"
    tool.write_text(f"#!{tmp_path}/out/shell -e\n")
    tool.chmod(0o755)
    (tmp_path / "out" / "shell").symlink_to("/bin/sh")
    return tmp_path


def attempts(recorded: Recorded, home: Path) -> dict[str, tuple[int, bool]]:
    """Return errno and refusal of every failed attempt, by what was tried below `home`."""
    found = {}
    for event in recorded.recording.events:
        match event:
            case FileOpened(path=path, mode=mode, errno=errno, refused=refused):
                what = f"{mode} {os.fsdecode(path)}"
            case PathChanged(change=change, path=path, errno=errno, refused=refused):
                what = f"{change} {os.fsdecode(path)}"
            case Executed(path=path, errno=errno, refused=refused):
                what = f"exec {os.fsdecode(path)}"
            case _:
                continue
        if errno and f"{home}/" in what:
            found[what.replace(f"{home}/", "")] = (errno, refused)
    return found


@pytest.mark.skipif(landlock_is_missing(), reason="this kernel has no Landlock of ABI 3")
def test_only_what_would_pass_outside_is_a_refusal(record: Record, home: Path) -> None:
    recorded = record(
        "/usr/bin/python3",
        "-ISc",
        program_text("file_attempts.py"),
        cwd=home,
        readable=[*SYSTEM, home / "in"],
        writable=[home / "in"],
    )

    found = attempts(recorded, home)
    is_root = os.geteuid() == 0  # who may read even what is locked
    assert found == {
        "read out/file": (13, True),
        "write out/file": (13, True),
        "read-write out/file": (13, True),
        "read out/locked": (13, is_root),
        "read out/absent": (2, False),
        "write out/new": (13, True),
        "write out/none/new": (2, False),
        "directory-made out/made": (13, True),
        "directory-made out/folder": (17, False),
        "removed out/victim": (13, True),
        "renamed out/moved": (13, True),
        "linked in/stolen": (found["linked in/stolen"][0], True),  # EXDEV or EACCES
        "symlinked out/link": (13, True),
        "truncated out/file": (13, True),
        "exec out/tool": (13, True),
        "exec out/file": (13, False),  # is not executable at all
        "exec out/nothing": (2, False),
    }
    interpreters = [
        event.path
        for event in recorded.recording.events
        if isinstance(event, Executed) and event.requested == os.fsencode(home / "out" / "tool")
    ]
    assert interpreters == [
        os.fsencode(home / "out" / "tool"),
        os.fsencode(os.path.realpath("/bin/sh")),
    ]


def test_two_mounts_are_no_refusal(tmp_path: Path) -> None:
    """Renaming across a mount fails with EXDEV for everybody: rename(2)."""
    (tmp_path / "file").touch()
    inside, outside = os.fsencode(tmp_path / "file"), b"/dev/shm/file"

    assert refusal.may_rename(inside, os.fsencode(tmp_path / "new"))
    assert not refusal.may_rename(inside, outside)
    assert not refusal.may_link(inside, outside)


def test_a_replay_leaves_no_trace(tmp_path: Path) -> None:
    """Not even a FIFO is opened, which would wake its other end, nor a file made."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    new = os.fsencode(tmp_path / "new")

    assert refusal.may_open(
        os.fsencode(fifo), reading=True, writing=True, creating=False, owning=False
    )
    assert refusal.may_open(new, reading=False, writing=True, creating=True, owning=False)
    assert refusal.may_make(new)
    assert sorted(os.listdir(tmp_path)) == ["fifo"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do it")
def test_what_belongs_to_others_is_no_refusal() -> None:
    assert not refusal.may_change("mode-changed", b"/etc/passwd", b"")
    assert not refusal.may_change("owner-changed", b"/etc/passwd", b"")
    assert not refusal.may_change("times-changed", b"/etc/passwd", b"")
    assert not refusal.may_change("removed", b"/etc/passwd", b"")
    assert not refusal.may_open(
        b"/etc/passwd", reading=True, writing=False, creating=False, owning=True
    )
    assert refusal.may_open(
        b"/etc/passwd", reading=True, writing=False, creating=False, owning=False
    )
