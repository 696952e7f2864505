"""A folder has its name when it is complete; what was never completed goes, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from buildperm.sandbox import unfinished_folder

_KILLED = """
import os, pathlib, signal, sys
from buildperm.sandbox import unfinished_folder
with unfinished_folder.begin(pathlib.Path(sys.argv[1])) as made:
    os.mkdir(made.inside + b"/usr")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _finish(name: Path) -> None:
    with unfinished_folder.begin(name) as made:
        os.mkdir(made.inside + b"/usr")
        made.finish()


def test_what_was_killed_is_removed_by_the_next_of_the_same_name(tmp_path: Path) -> None:
    for name in ("root", "other"):
        subprocess.run([sys.executable, "-c", _KILLED, tmp_path / name], check=False)
    assert len(list(tmp_path.glob("*.unpacking-*/usr"))) == 2
    _finish(tmp_path / "root")
    (left,) = tmp_path.glob("*.unpacking-*")
    assert left.name.startswith("other.")
    assert os.listdir(tmp_path / "root") == ["usr"]


def test_what_is_in_use_or_somebody_else_s_stays(tmp_path: Path) -> None:
    users = tmp_path / "root.unpacking-2024_old"
    users.mkdir(0o700)
    (users / "usr").mkdir()
    (tmp_path / "root.unpacking-aaaaaaaa").write_text("a file")
    (tmp_path / "root.unpacking-bbbbbbbb").symlink_to(users)
    with unfinished_folder.begin(tmp_path / "root") as first:
        os.mkdir(first.inside + b"/usr")
        _finish(tmp_path / "root")
        assert first.path.is_dir()
        with pytest.raises(OSError, match="not empty"):
            first.finish()
    assert sorted(os.listdir(tmp_path / "root")) == ["usr"]
    assert (users / "usr").is_dir()
    for name in ("aaaaaaaa", "bbbbbbbb"):
        assert os.path.lexists(tmp_path / f"root.unpacking-{name}")


def test_a_link_in_its_place_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    with unfinished_folder.begin(tmp_path / "root") as made:
        made.path.rename(tmp_path / "taken")
        made.path.symlink_to(victim)
        os.mkdir(made.inside + b"/usr")
        with pytest.raises(OSError, match="moved"):
            made.finish()
    assert os.listdir(victim) == []
    assert sorted(os.listdir(tmp_path / "taken")) == [".buildperm-unfinished", "usr"]
    assert not (tmp_path / "root").exists()
