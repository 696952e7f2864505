from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from buildperm.supervisor import kept_output
from buildperm.supervisor.kept_output import KeptOutput


def tree(folder: Path) -> dict[str, object]:
    """Return what is below a folder: content, mode and time by path."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        content = os.readlink(path) if path.is_symlink() else ""
        content = path.read_text() if path.is_file() and not path.is_symlink() else content
        found[str(path.relative_to(folder))] = content, about.st_mode, about.st_mtime_ns
    return found


@pytest.fixture
def out_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner/tool").write_text("#!/bin/sh\n")
    (folder / "inner/tool").chmod(0o755)
    (folder / "link").symlink_to("inner/tool")
    (folder / "away").symlink_to("/etc/passwd")
    (folder / "file").write_text("before")
    (folder / "closed").mkdir()
    (folder / "closed/file").write_text("before")
    (folder / "closed").chmod(0o555)
    for path in (folder / "file", folder / "inner", folder):
        os.utime(path, ns=(10**18, 10**18))
    return folder


def kept(out_dir: Path) -> KeptOutput:
    return KeptOutput(os.fsencode(out_dir), os.fsencode(out_dir.with_name("before")))


def test_what_a_run_has_changed_is_undone(out_dir: Path) -> None:
    before, of_folder = tree(out_dir), out_dir.stat().st_mtime_ns
    copy = kept(out_dir)
    (out_dir / "file").write_text("after")
    (out_dir / "inner/tool").unlink()
    (out_dir / "link").unlink()
    (out_dir / "new/deeper").mkdir(parents=True)
    (out_dir / "new").chmod(0)
    os.mkfifo(out_dir / "fifo")
    copy.restore()
    copy.remove()
    assert tree(out_dir) == before
    assert out_dir.stat().st_mtime_ns == of_folder
    assert os.listdir(out_dir.parent) == ["out"]


@pytest.mark.parametrize("mode", [0, 0o555, 0o755])
def test_an_output_folder_that_a_run_has_closed_is_put_back(out_dir: Path, mode: int) -> None:
    before = tree(out_dir)
    child = os.fork()
    if not child:  # As somebody to whom modes mean something.
        os.chdir(out_dir.parent)
        if os.geteuid() == 0:
            for path in (out_dir.parent, out_dir, *out_dir.rglob("*")):
                os.chown(path, 65534, 65534, follow_symlinks=False)
            os.setgid(65534)
            os.setuid(65534)
        copy = KeptOutput(b"./out", b"./before")
        os.chmod("out", mode)
        try:
            copy.restore()
        except OSError:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert tree(out_dir) == before
    assert stat.S_IMODE(out_dir.stat().st_mode) == 0o755


def test_nothing_changes_where_the_first_run_counts(out_dir: Path) -> None:
    copy = kept(out_dir)
    (out_dir / "file").write_text("after")
    copy.remove()
    assert (out_dir / "file").read_text() == "after"
    assert os.listdir(out_dir.parent) == ["out"]


@pytest.mark.parametrize("kind", ["bytes", "files", "fifo"])
def test_what_cannot_be_copied_leaves_nothing_of_the_first_run(
    out_dir: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    match kind:
        case "bytes":
            monkeypatch.setattr(kept_output, "MOST_BYTES", 3)
        case "files":
            monkeypatch.setattr(kept_output, "MOST_FILES", 3)
        case _:
            os.mkfifo(out_dir / "fifo")
    copy = kept(out_dir)
    (out_dir / "file").write_text("after")
    copy.restore()
    assert os.listdir(out_dir) == []
    copy.remove()


def test_what_an_earlier_run_has_left_is_no_part_of_it(out_dir: Path) -> None:
    kept(out_dir)  # Killed before it was removed.
    (out_dir / "file").write_text("later")
    copy = kept(out_dir)
    copy.restore()
    assert (out_dir / "file").read_text() == "later"
