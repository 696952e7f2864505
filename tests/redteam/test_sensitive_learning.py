"""What `learn --accept` once granted on its own, and what it says of a closed home folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.command import buildperm, member
from tests.programs import program_text
from tests.redteam.sensitive_files import linked, planted

_PRIVATE = "-----BEGIN PRIVATE KEY-----\nplanted\n"
_BUILD = program_text("reads_secrets.rs")


@pytest.mark.slow
def test_nothing_of_the_tier_is_accepted_in_a_batch(tmp_path: Path) -> None:
    home = tmp_path / "home"
    workspace = member(home / "ws", _BUILD)
    for name in ("certs/prod.pem", "id.p12", "deploy/master.key", ".vault_pass"):
        planted(workspace / name, _PRIVATE)
    planted(workspace / ".cargo/config.toml", '[credential-alias]\nours = ["tool"]\n')
    planted(workspace / "certs/ca.pem", "-----BEGIN CERTIFICATE-----\n")
    planted(workspace / "schema.txt")
    linked(home / ".ssh/work", planted(home / "dotfiles/work"))
    planted(home / "data/model.bin")
    planted(home / ".cargo/config.toml", '[registry]\ntoken = "planted"\n')
    rustup = os.environ.get("RUSTUP_HOME") or str(Path.home() / ".rustup")
    extra = {"HOME": str(home), "PLANTED_HOME": str(home), "CARGO_HOME": str(home / ".cargo")}
    if Path(rustup).is_dir():
        extra["RUSTUP_HOME"] = rustup

    learnt = buildperm("learn", "--no-tui", "--accept", "medium", folder=workspace, extra=extra)

    granted = (workspace / "Cargo.toml").read_text().partition("[workspace.metadata")[2]
    assert 'read = ["$WORKSPACE/certs/ca.pem", "$WORKSPACE/schema.txt"]\n' in granted
    told = learnt.stdout + learnt.stderr
    for words in (
        *("$HOME/data/model.bin (high)", "`$HOME/.ssh/work` leads here: ssh keys"),
        *("$WORKSPACE/id.p12 (a store of keys or passwords) (critical)",),
    ):
        assert words in told
    assert "2 files in several places (Cargo's settings, which may hold tokens) (critical)" in told
