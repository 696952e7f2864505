"""Limits in Cargo.toml: they hold, for all build scripts or one, and a report says which it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import buildperm, is_orderly, member

_GREEDY = """
use std::{env, fs, path::PathBuf};
fn main() {
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    fs::write(out.join("large"), vec![1; 3 << 20]).unwrap();
}
"""
_TABLE = "[workspace.metadata.buildperm]\nversion = 1\n[workspace.metadata.buildperm.limits]\n"


def _limited(workspace: Path, lines: str) -> Path:
    manifest = workspace / "Cargo.toml"
    manifest.write_text(manifest.read_text().partition("[workspace.metadata")[0] + _TABLE + lines)
    return workspace


@pytest.mark.slow
def test_a_limit_ends_a_script_and_the_report_says_how_to_raise_it(tmp_path: Path) -> None:
    workspace = _limited(member(tmp_path / "ws", _GREEDY), "output_bytes = 1_048_576\n")

    told = buildperm("ci", "--format", "json", folder=workspace)
    document = json.loads(told.stdout)

    assert told.returncode == 20
    assert is_orderly(told.stderr)
    failure = document["scripts"][0]["failure"]
    assert "the limit is `output_bytes = 1048576 (1 MiB)`" in failure
    hint = "raise `output_bytes` in `[workspace.metadata.buildperm.limits.crates.sample]`"
    assert hint in told.stderr

    raised = "output_bytes = 1_048_576\ncrates.sample.output_bytes = 0\n"
    assert buildperm("ci", folder=_limited(workspace, raised)).returncode == 0


@pytest.mark.parametrize("key", ["crates.other", "crates.'sample@0.2'"])
@pytest.mark.slow
def test_limits_of_another_crate_change_nothing(tmp_path: Path, key: str) -> None:
    workspace = member(tmp_path / "ws", _GREEDY)

    _limited(workspace, f"output_bytes = 1_048_576\n{key}.output_bytes = 0\n")

    assert buildperm("ci", folder=workspace).returncode == 20


def test_a_limit_that_makes_no_sense_is_told_before_anything_runs(tmp_path: Path) -> None:
    workspace = _limited(member(tmp_path / "ws", _GREEDY), "secnds = 5\n")

    told = buildperm("ci", folder=workspace)

    assert told.returncode == 2
    assert "Did you mean `seconds`?" in told.stderr
    assert not (workspace / "target/buildperm/ci/debug").exists()
