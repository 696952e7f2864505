"""What Git tracks, as its index says in each of its versions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from buildperm.cargo.git_index import tracks_below


def _git(folder: Path, *words: str) -> None:
    names = ("-c", "user.name=x", "-c", "user.email=x")
    subprocess.run(["git", *names, *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("hashes", ["sha1", "sha256"])
def test_tracked_files_are_found(tmp_path: Path, version: int, hashes: str) -> None:
    _git(tmp_path, "init", "-q", f"--object-format={hashes}")
    for name in ("a", "t/b/x", "t/b/y", "t/bc", "u/t/b/z", "target/" + ("n" * 200 + "/") * 2 + "m"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    _git(tmp_path, "add", "a", "t/bc", "u", "target")
    _git(tmp_path, "update-index", f"--index-version={version}")
    if version == 3:
        _git(tmp_path, "add", "--intent-to-add", "t/b/x")
        _git(tmp_path, "rm", "-q", "--cached", "t/b/x")
    before = tracks_below(tmp_path / ".git", b"t/b/")
    _git(tmp_path, "add", *(["--intent-to-add"] if version == 3 else []), "t/b/y")

    assert not before
    assert tracks_below(tmp_path / ".git", b"t/b/")
    assert tracks_below(tmp_path / ".git", b"u/t/b/")
    assert tracks_below(tmp_path / ".git", b"target/")
    assert not tracks_below(tmp_path / ".git", b"b/")
    assert not tracks_below(tmp_path / ".git", b"x/")


def test_other_work_trees_and_shared_indexes_count(tmp_path: Path) -> None:
    main, other = tmp_path / "main", tmp_path / "other"
    main.mkdir()
    _git(main, "init", "-q")
    (main / "t").mkdir()
    (main / "t/x").write_text("")
    _git(main, "add", "t")
    _git(main, "commit", "-q", "-m", "x")
    _git(main, "worktree", "add", "-q", str(other))
    _git(main, "update-index", "--split-index")

    assert tracks_below(main / ".git", b"t/")
    assert tracks_below(other / ".git", b"t/")
    assert not tracks_below(other / ".git", b"u/")


@pytest.mark.parametrize(
    "text", [b"", b"DIRC", b"DIRC\0\0\0\4\0\0\xff\xff", b"DIRC\0\0\0\2t/", b"x" * 99]
)
def test_what_is_no_index_tracks_nothing(tmp_path: Path, text: bytes) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/index").write_bytes(text)

    assert not tracks_below(tmp_path / ".git", b"t/")
    assert not tracks_below(tmp_path / "none", b"t/")
