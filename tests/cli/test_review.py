"""Reviewing what has changed: what is asked, what is carried over, what is proposed for removal."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.cli.waiting_script import WAITS, until_up
from tests.command import LEARN, buildperm, is_orderly, kill_group, member, start

REVIEW = ("review", "--no-tui")
ACCEPT = ("--accept", "medium")
READS = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let _ = std::fs::read_to_string("../FILE");
}
"""
# Which of a thousand files it reads is chance.
GAMBLES = """
fn main() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let _ = std::fs::read_to_string("../always.txt");
    let _ = std::fs::read_to_string(format!("../maybe/{}.txt", now.subsec_nanos() / 1000 % 1000));
}
"""
# Does something else in a release build.
BY_PROFILE = """
fn main() {
    let profile = std::env::var("PROFILE").unwrap();
    let _ = std::fs::read_to_string(format!("../{profile}.txt"));
}
"""


def _reading(name: str) -> str:
    return READS.replace("FILE", name)


def _workspace(folder: Path, script: str, *files: str) -> Path:
    workspace = member(folder, script)
    for name in files:
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text("data")
    return workspace


def _bump(workspace: Path, script: str, version: str) -> None:
    """Update the crate, as `cargo update` would."""
    (workspace / "sample/build.rs").write_text(script)
    for path in (workspace / "sample/Cargo.toml", workspace / "Cargo.lock"):
        lines = path.read_text().splitlines(keepends=True)
        changed = [
            f'version = "{version}"\n' if line.startswith('version = "') else line for line in lines
        ]
        path.write_text("".join(changed))


def _lock(workspace: Path) -> list[dict[str, Any]]:
    scripts: list[dict[str, Any]] = tomllib.loads((workspace / "buildperm.lock").read_text())[
        "script"
    ]
    return scripts


def _grants(workspace: Path) -> dict[str, Any]:
    table = tomllib.loads((workspace / "Cargo.toml").read_text())["workspace"]["metadata"]
    granted: dict[str, Any] = table["buildperm"]["crates"]["sample"]
    return granted


@pytest.fixture
def learned(tmp_path: Path) -> Path:
    """Make a workspace whose script reads `a.txt`, reviewed."""
    workspace = _workspace(tmp_path / "ws", _reading("a.txt"), "a.txt", "b.txt")
    told = buildperm(*LEARN, folder=workspace)
    assert told.returncode == 0, told.stderr
    return workspace


def test_nothing_new_is_nothing_to_decide_and_runs_nothing_again(learned: Path) -> None:
    recording = next(learned.glob("target/buildperm/learn/debug/**/recording.jsonl"))
    before = recording.stat().st_mtime_ns
    files = [(learned / name).read_bytes() for name in ("Cargo.toml", "buildperm.lock")]

    reviewed = buildperm(*REVIEW, folder=learned)

    assert reviewed.returncode == 0, reviewed.stderr
    assert "1 build script as reviewed." in reviewed.stderr
    assert "nothing to decide" in reviewed.stderr
    assert recording.stat().st_mtime_ns == before
    assert [(learned / name).read_bytes() for name in ("Cargo.toml", "buildperm.lock")] == files


def test_only_what_is_new_is_asked_and_undecided_work_stays_pending(learned: Path) -> None:
    _bump(learned, _reading("b.txt"), "0.1.1")

    reviewed = buildperm(*REVIEW, folder=learned)
    held = buildperm("ci", folder=learned)
    checked = buildperm("check", folder=learned)
    decided = buildperm(*REVIEW, *ACCEPT, folder=learned)

    assert reviewed.returncode == 3
    assert "sample 0.1.0 -> 0.1.1: 1 new, 1 gone, 0 as before; 1 decision" in reviewed.stderr
    assert "undecided: sample 0.1.1: read $WORKSPACE/b.txt" in reviewed.stderr
    assert "$WORKSPACE/a.txt" not in reviewed.stderr
    assert held.returncode == 20
    assert checked.returncode == 21
    assert decided.returncode == 0
    assert _grants(learned)["read"] == ["$WORKSPACE/a.txt", "$WORKSPACE/b.txt"]
    assert _grants(learned)["reviewed"] == ["0.1.1"]


@pytest.mark.slow
def test_a_dry_run_tells_and_writes_nothing(learned: Path) -> None:
    _bump(learned, _reading("b.txt"), "0.1.1")
    names = ("Cargo.toml", "buildperm.lock")
    before = [(learned / name).read_bytes() for name in names]

    told = buildperm(*REVIEW, *ACCEPT, "--dry-run", folder=learned)

    assert told.returncode == 0, told.stderr
    assert '+read = ["$WORKSPACE/a.txt", "$WORKSPACE/b.txt"]' in told.stdout
    assert [(learned / name).read_bytes() for name in names] == before
    assert buildperm("check", folder=learned).returncode == 21


@pytest.mark.slow
def test_what_a_wide_grant_allows_beforehand_is_told_once(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path / "ws", _reading("in/a.txt"), "in/a.txt", "in/b.txt")
    assert buildperm(*LEARN, folder=workspace).returncode == 0
    manifest = workspace / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace("in/a.txt", "in/**"))
    assert buildperm(*REVIEW, folder=workspace).returncode == 0
    _bump(workspace, _reading("in/b.txt"), "0.1.1")

    # Nothing has to be decided; who looks is told all the same.
    pending = buildperm(*REVIEW, "--dry-run", folder=workspace)
    reviewed = buildperm(*REVIEW, folder=workspace)
    again = buildperm(*REVIEW, folder=workspace)

    told = "new, but already allowed by `$WORKSPACE/in/**`: read $WORKSPACE/in/b.txt"
    assert pending.returncode == 0
    assert told in pending.stderr
    assert reviewed.returncode == 0
    assert told in reviewed.stderr
    assert again.returncode == 0
    assert "already allowed" not in again.stderr


@pytest.mark.slow
def test_a_grant_that_is_not_used_has_a_period_of_grace(learned: Path) -> None:
    _bump(learned, _reading("b.txt"), "0.1.1")
    first = buildperm(*REVIEW, *ACCEPT, folder=learned)
    unused = _lock(learned)[0]["unused"]
    _bump(learned, _reading("b.txt") + "\n", "0.1.2")
    second = buildperm(*REVIEW, folder=learned)

    assert (first.returncode, second.returncode) == (0, 0)
    assert unused == ["read:$WORKSPACE/a.txt"]
    assert "made no use of read" not in first.stderr
    assert "sample 0.1.2: made no use of read `$WORKSPACE/a.txt`" in second.stderr
    assert _grants(learned)["read"] == ["$WORKSPACE/a.txt", "$WORKSPACE/b.txt"]  # Nobody decided.


@pytest.mark.parametrize(("prune", "is_proposed"), [("now", True), ("never", False)])
@pytest.mark.slow
def test_who_wants_so_is_told_at_once_or_never(
    learned: Path, prune: str, is_proposed: bool
) -> None:
    _bump(learned, _reading("b.txt"), "0.1.1")

    told = buildperm(*REVIEW, *ACCEPT, "--prune", prune, folder=learned)

    assert told.returncode == 0
    assert ("made no use of read `$WORKSPACE/a.txt`" in told.stderr) is is_proposed


@pytest.mark.slow
def test_ci_can_fail_on_grants_that_nothing_uses(learned: Path) -> None:
    _bump(learned, _reading("b.txt"), "0.1.1")
    assert buildperm(*REVIEW, *ACCEPT, folder=learned).returncode == 0

    lenient = buildperm("ci", folder=learned)
    strict = buildperm("ci", "--deny-unused", folder=learned)

    assert lenient.returncode == 0
    assert strict.returncode == 22
    assert "is granted read $WORKSPACE/a.txt and did not use it" in strict.stdout


@pytest.mark.slow
def test_repeated_runs_mark_what_is_not_stable(tmp_path: Path) -> None:
    files = [f"maybe/{number}.txt" for number in range(1000)]
    workspace = _workspace(tmp_path / "ws", GAMBLES, "always.txt", *files)

    told = buildperm("learn", "--no-tui", "--runs", "3", folder=workspace)
    recordings = list(workspace.glob("target/buildperm/learn/debug/**/recording.jsonl"))

    assert told.returncode == 3, told.stderr
    assert "2 times each" in told.stderr
    undecided = [line for line in told.stderr.splitlines() if line.startswith("undecided")]
    assert any("always.txt" in line for line in undecided)
    assert any("maybe" in line for line in undecided)
    assert recordings
    assert is_orderly(told.stderr)


@pytest.mark.slow
def test_each_declared_context_is_recorded_and_what_it_asks_for_is_united(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path / "ws", BY_PROFILE, "debug.txt", "release.txt")
    with (workspace / "Cargo.toml").open("a") as file:
        file.write(
            "\n[workspace.metadata.buildperm]\nversion = 1\n"
            'contexts = ["check", "check --release"]\n'
        )

    told = buildperm(*LEARN, folder=workspace)
    checked = buildperm("check", folder=workspace)
    held = buildperm("ci", "--", "build", "--release", folder=workspace)

    assert told.returncode == 0, told.stderr
    assert _grants(workspace)["read"] == ["$WORKSPACE/debug.txt", "$WORKSPACE/release.txt"]
    runs = _lock(workspace)[0]["run"]
    assert [(run["profile"], run["seen"]) for run in runs] == [
        ("debug", ["read $WORKSPACE/debug.txt"]),
        ("release", ["read $WORKSPACE/release.txt"]),
    ]
    assert checked.returncode == 0
    assert held.returncode == 0, held.stdout


@pytest.mark.slow
def test_a_context_that_cannot_be_is_named(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path / "ws", BY_PROFILE)
    with (workspace / "Cargo.toml").open("a") as file:
        file.write('\n[workspace.metadata.buildperm]\nversion = 1\ncontexts = ["fix"]\n')

    told = buildperm("review", "--no-tui", folder=workspace)

    assert told.returncode == 2
    assert "`contexts`" in told.stderr
    assert "`fix`" in told.stderr


@pytest.mark.slow
def test_a_recording_from_a_newer_buildperm_is_named(learned: Path) -> None:
    path = next(learned.glob("target/buildperm/learn/debug/**/recording.jsonl"))
    head, rest = path.read_bytes().split(b"\n", 1)
    header = json.loads(head) | {"version": 99}
    path.write_bytes(json.dumps(header).encode() + b"\n" + rest)

    told = buildperm(*REVIEW, folder=learned)

    assert told.returncode == 2, told.stderr
    assert "has format 99" in told.stderr
    assert "hint: " in told.stderr
    assert is_orderly(told.stderr)


@pytest.mark.parametrize("name", ["Cargo.toml", "buildperm.lock"])
@pytest.mark.slow
def test_what_somebody_else_writes_meanwhile_is_not_lost(learned: Path, name: str) -> None:
    _bump(learned, WAITS, "0.1.1")
    for left in learned.glob("target/buildperm/*/debug/build/*/out/up"):
        left.unlink()
    running = start(*REVIEW, folder=learned)
    try:
        until_up(learned, running)
        with (learned / name).open("a") as file:
            file.write("# mine\n")
        (learned / "sample/go").touch()
        said = running.communicate(timeout=60)[1].decode()
    finally:
        kill_group(running)

    assert running.returncode == 2, said
    assert "meanwhile" in said
    assert (learned / name).read_text().endswith("# mine\n")
    assert buildperm(*REVIEW, *ACCEPT, folder=learned).returncode == 0
