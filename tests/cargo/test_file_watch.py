"""Waiting for files to change, as editors, git and people change them."""

from __future__ import annotations

import itertools
import os
import select
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildperm.cargo.file_watch import QUIET_S, Watcher, digests, index_lock

LONG_S = 60  # Until a test gives up.
SHORT_S = 0.3  # In which an event that is on its way arrives.


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "ws"
    (folder / "crates/one").mkdir(parents=True)
    for name in ("Cargo.toml", "Cargo.lock", "crates/one/Cargo.toml"):
        (folder / name).write_text("# first\n")
    return folder


@pytest.fixture
def files(root: Path) -> tuple[Path, ...]:
    return (root / "Cargo.toml", root / "Cargo.lock", root / "crates/one/Cargo.toml")


@pytest.fixture(params=[False, True], ids=["inotify", "polling"])
def watcher(
    request: pytest.FixtureRequest, root: Path, files: tuple[Path, ...]
) -> Iterator[Watcher]:
    with Watcher(root, polling=request.param) as watcher:
        watcher.watch(files)
        yield watcher


def _happened(watcher: Watcher, within_s: float = LONG_S) -> bool:
    return bool(select.select([watcher], [], [], within_s)[0])


def test_a_file_that_is_written_is_told(watcher: Watcher, files: tuple[Path, ...]) -> None:
    files[2].write_text("# second, longer\n")

    assert _happened(watcher)


def test_a_file_that_is_replaced_by_renaming_is_told(
    watcher: Watcher, files: tuple[Path, ...]
) -> None:
    other = files[1].with_name(".Cargo.lock.swp")
    other.write_text("# second, longer\n")
    other.rename(files[1])

    assert _happened(watcher)


@pytest.mark.quick(1)
def test_a_file_is_told_that_goes_and_comes_back(watcher: Watcher, files: tuple[Path, ...]) -> None:
    files[0].unlink()
    gone = _happened(watcher)
    watcher.settle()
    files[0].write_text("# back\n")

    assert gone
    assert _happened(watcher)


@pytest.mark.quick(1)
def test_a_folder_that_goes_and_comes_back_is_watched_again(
    watcher: Watcher, root: Path, files: tuple[Path, ...]
) -> None:
    shutil.rmtree(root / "crates")
    told = [_happened(watcher)]
    watcher.settle()
    watcher.watch(files)
    (root / "crates/one").mkdir(parents=True)
    told.append(_happened(watcher))
    watcher.settle()
    watcher.watch(files)
    files[2].write_text("# back\n")
    told.append(_happened(watcher))

    assert told == [True, True, True]


def test_reading_and_what_lies_beside_is_no_event(root: Path, files: tuple[Path, ...]) -> None:
    with Watcher(root) as watcher:
        watcher.watch(files)
        for file in files:
            file.read_bytes()
        (root / "target").mkdir()
        (root / "target/Cargo.toml").write_text("")
        (root / "README.md").write_text("")

        assert not _happened(watcher, SHORT_S)
        files[0].write_text("# second\n")
        assert _happened(watcher)


def test_a_touch_changes_no_digest(files: tuple[Path, ...]) -> None:
    before = digests(files)
    os.utime(files[0], ns=(1, 1))
    touched = digests(files)
    files[0].unlink()

    assert touched == before
    assert digests(files)[files[0]] == ""


def test_settling_waits_for_the_last_of_many_changes(root: Path, files: tuple[Path, ...]) -> None:
    changes = 4
    is_in_time = False
    while not is_in_time:  # On a busy machine a change may come so late that all was quiet before.
        written: list[float] = []
        with Watcher(root) as watcher:
            watcher.watch(files)
            turns = threading.Event()

            def write(turns: threading.Event = turns, written: list[float] = written) -> None:
                for turn in range(changes):
                    files[1].write_text(f"# {turn}\n")
                    written.append(time.monotonic())
                    turns.wait(QUIET_S / 2)

            writing = threading.Thread(target=write)
            began = time.monotonic()
            writing.start()
            assert _happened(watcher)
            watcher.settle()
            took_s = time.monotonic() - began
            read = files[1].read_text()
            turns.set()
            writing.join()
        late = (after - before for before, after in itertools.pairwise([began, *written]))
        is_in_time = max(late) < QUIET_S

    assert read == f"# {changes - 1}\n"
    assert took_s >= (changes - 1) * QUIET_S / 2 + QUIET_S


def test_settling_waits_until_git_is_done(root: Path, files: tuple[Path, ...]) -> None:
    lock = root / ".git/index.lock"
    lock.parent.mkdir()
    lock.write_text("")
    with Watcher(root) as watcher:
        watcher.watch(files)
        freeing = threading.Timer(QUIET_S * 2.5, lock.unlink)
        freeing.start()
        watcher.settle()

        assert not lock.exists()
    freeing.join()


def test_the_lock_of_git_is_found_from_below_and_in_a_work_tree_of_its_own(
    tmp_path: Path,
) -> None:
    if shutil.which("git") is None:
        pytest.skip("no git")
    root = tmp_path.resolve() / "repository"
    identity = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
    for words in (
        ["init", "--quiet", str(root)],
        ["-C", str(root), *identity, "commit", "--quiet", "--allow-empty", "--message", "first"],
        ["-C", str(root), "worktree", "add", "--quiet", str(root.parent / "other")],
    ):
        subprocess.run(["git", *words], check=True, capture_output=True)
    (root / "deep/below").mkdir(parents=True)

    assert index_lock(root / "deep/below") == root / ".git/index.lock"
    assert index_lock(root.parent / "other") == root / ".git/worktrees/other/index.lock"
