"""Two build scripts may write one folder: every command says so before it does anything."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import CI, LEARN, buildperm, environment, is_orderly, member

WRITES = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let name = std::env::var("CARGO_PKG_NAME").unwrap();
    let _ = std::fs::write(format!("../gen/{name}"), "made");
}
"""
GRANTS = """
[workspace.metadata.buildperm]
version = 1
[workspace.metadata.buildperm.crates.one]
reviewed = ["0.1.0"]
write = ["$WORKSPACE/gen/**"]
[workspace.metadata.buildperm.crates.two]
reviewed = ["0.1.0"]
write = ["$WORKSPACE/gen/**"]
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Make a workspace of two packages that write into one folder, and are granted that."""
    folder = member(tmp_path / "ws", WRITES, "two")
    member(folder, WRITES, "one")
    (folder / "gen").mkdir()
    (folder / "Cargo.toml").write_text(
        f'[workspace]\nmembers = ["one", "two"]\nresolver = "2"\n{GRANTS}'
    )
    (folder / "Cargo.lock").write_text(
        'version = 3\n\n[[package]]\nname = "one"\nversion = "0.1.0"\n\n'
        '[[package]]\nname = "two"\nversion = "0.1.0"\n'
    )
    return folder


@pytest.mark.parametrize("words", [("check",), CI, LEARN, ("review", "--no-tui")])
@pytest.mark.quick(1)
def test_an_overlap_stops_the_command(workspace: Path, words: tuple[str, ...]) -> None:
    told = buildperm(*words, folder=workspace)

    assert told.returncode == 2, told.stderr
    assert is_orderly(told.stderr)
    assert "Cargo.toml:" in told.stderr
    assert "[workspace.metadata.buildperm.crates.two] write" in told.stderr
    assert 'add `shared = ["$WORKSPACE/gen/**"]`' in told.stderr
    assert not (workspace / "target").exists()
    assert list((workspace / "gen").iterdir()) == []


@pytest.mark.slow
def test_an_overlap_that_is_meant_is_built(workspace: Path) -> None:
    manifest = workspace / "Cargo.toml"
    text = manifest.read_text()
    manifest.write_text(
        text.replace("version = 1\n", 'version = 1\nshared = ["$WORKSPACE/gen/**"]\n')
    )

    told = buildperm(*CI, folder=workspace)

    assert told.returncode == 0, told.stderr
    assert {path.name for path in (workspace / "gen").iterdir()} == {"one", "two"}


@pytest.mark.slow
def test_a_patch_proposes_what_each_of_them_asked_for(workspace: Path) -> None:
    """Even where both asked for it, whoever applies it is told."""
    _grant_nothing(workspace)
    patch = workspace / "patch"

    told = buildperm(*CI, f"--emit-patch={patch}", "--", "build", "--keep-going", folder=workspace)

    assert told.returncode == 20, told.stderr
    assert patch.read_text().count('+write = ["$WORKSPACE/gen/both"]') == 2


@pytest.mark.slow
def test_decisions_that_overlap_are_kept_and_not_written(workspace: Path) -> None:
    _grant_nothing(workspace)
    before = (workspace / "Cargo.toml").read_bytes()
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "buildperm", "learn", "--no-tui"],
        cwd=workspace,
        env=environment(),
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    told = ""
    try:
        assert child.stderr is not None
        while letter := child.stderr.read(1):
            told += letter.decode(errors="replace")
            if told.endswith("Answer ("):
                os.write(ours, b"a\n" if told.count("Answer (") <= 2 else b"k\n")
        assert child.wait(timeout=60) == 3
    finally:
        child.kill()
        child.communicate()
        os.close(ours)
        os.close(theirs)

    assert "Cannot write:" in told
    assert "`one` may write there, too" in told
    assert 'add `shared = ["$WORKSPACE/gen/both"]`' in told
    assert "keeps the decisions" in told
    assert is_orderly(told)
    assert (workspace / "Cargo.toml").read_bytes() == before


def _grant_nothing(workspace: Path) -> None:
    manifest = workspace / "Cargo.toml"
    text = manifest.read_text().replace('["$WORKSPACE/gen/**"]', "[]")
    manifest.write_text(text.replace('reviewed = ["0.1.0"]', ""))
    for name in ("one", "two"):
        script = workspace / name / "build.rs"
        script.write_text(
            script.read_text().replace("{name}", "both").replace("let name", "let _name")
        )
