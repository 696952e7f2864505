"""Folders in which Cargo builds a profile: nobody is offered to write there; all else goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import LEARN, buildperm, is_orderly
from tests.redteam.packages import crate, workspace

WRITES = """
use std::{env, fs, path::PathBuf};
fn main() {
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    let target = out.ancestors().find(|each| each.join("CACHEDIR.TAG").exists()).unwrap();
    let _ = fs::create_dir_all(target.join("NAME"));
    let _ = fs::write(target.join("NAME/x"), "x");
}
"""


@pytest.mark.slow
def test_a_profile_of_the_configuration_is_locked_and_stops_nobody_elses_answers(
    tmp_path: Path,
) -> None:
    folder = workspace(tmp_path / "ws", "honest", "hostile")
    crate(folder / "honest", WRITES.replace("NAME", "bridge"))
    crate(folder / "hostile", WRITES.replace("NAME", "mine"))
    (folder / ".cargo").mkdir()
    (folder / ".cargo/config.toml").write_text('[profile.mine]\ninherits = "release"\n')

    told = buildperm(*LEARN, folder=folder)
    listed = buildperm("pending", "--json", folder=folder)
    written = (folder / "Cargo.toml").read_text()

    assert told.returncode == 3, told.stderr
    assert is_orderly(told.stderr)
    assert "Cargo builds the profile `mine` there" in listed.stdout
    assert 'write = ["$TARGET_DIR/bridge/**"]' in written
    assert "mine" not in written.partition("[workspace.metadata")[2]


@pytest.mark.slow
def test_a_grant_of_such_a_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "ws", "hostile")
    crate(folder / "hostile", WRITES.replace("NAME", "mine"))
    assert buildperm(*LEARN, folder=folder).returncode == 0
    assert 'write = ["$TARGET_DIR/mine/**"]' in (folder / "Cargo.toml").read_text()

    refused = buildperm("ci", "--", "--config", 'profile.mine.inherits="release"', folder=folder)
    ordinary = buildperm("ci", folder=folder)

    assert refused.returncode == 2, refused.stderr
    assert "Cargo builds the profile `mine` there" in refused.stderr
    assert ordinary.returncode == 0, ordinary.stderr
