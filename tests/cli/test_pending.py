"""What is left to decide, listed from recordings alone: for people, and as a document."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from tests.cli.pending_list import PENDING_SCHEMA, listed
from tests.command import buildperm, is_orderly, member

SCRIPT = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let _ = std::fs::read_to_string("../data.txt");
    let _ = std::env::var("API_TOKEN");
    for code in ["1", "print 2"] {
        let _ = std::process::Command::new("perl").arg("-e").arg(code).output();
    }
    if std::env::var("CHANNEL").as_deref() == Ok("beta") {
        let _ = std::fs::read_to_string("../beta.txt");
    }
}
"""


def _workspace(folder: Path) -> Path:
    workspace = member(folder / "ws", SCRIPT)
    for name in ("data.txt", "beta.txt"):
        (workspace / name).write_text("data")
    return workspace


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(PENDING_SCHEMA)


def test_what_was_learnt_and_refused_is_listed_with_all_that_a_decision_rests_on(
    tmp_path: Path,
) -> None:
    workspace = _workspace(tmp_path)
    secret = {"API_TOKEN": "ghp_x"}
    learnt = buildperm("learn", "--format", "json", folder=workspace, extra=secret)
    assert learnt.returncode == 3, learnt.stderr
    manifest = (workspace / "Cargo.toml").read_bytes()
    recordings = sorted(workspace.glob("target/**/recording.jsonl"))

    document = json.loads(learnt.stdout)
    jsonschema.Draft202012Validator(PENDING_SCHEMA).validate(document)
    assert (document["command"], document["exit"]) == ("learn", 3)
    found = {each["title"]: each for each in document["proposals"]}
    assert len(found) == 3
    perl = found["run perl"]
    assert perl["evidence"][0]["commands"] == [["perl -e 1", 1], ["perl -e 'print 2'", 1]]
    assert 7 in [each["line"] for each in perl["source_lines"]]
    assert perl["rungs"][0]["rules"] == [{"kind": "exec", "pattern": "perl"}]
    assert "high" in perl["rungs"][0]["refused_to_robots"]
    assert perl["rungs"][0]["refused_to_all"] == ""
    data = found["read $WORKSPACE/data.txt"]
    assert data["rungs"][0]["grant"].endswith('read = ["$WORKSPACE/data.txt"]')
    assert data["rungs"][0]["adds"] == ""
    assert all(each["adds"] for each in data["rungs"][1:])
    assert data["rungs"][0]["existing"]["files"] == 0
    open_ = [each for each in data["rungs"] if not each["refused_to_all"]]
    assert open_[-1]["existing"]["files"] > 0
    # What lies below a folder that nobody can allow is not counted, and told in words.
    locked = [each for each in data["rungs"] if each["refused_to_all"]]
    assert locked
    assert all(each["existing"] is None for each in locked)
    (token,) = (each for each in document["proposals"] if "API_TOKEN" in each["title"])
    assert token["locked"]
    assert token["rungs"][0]["refused_to_all"]

    # The same without a build, and the same ids.
    again = listed(workspace)
    assert {**again, "command": "learn", "exit": 3, "build_failure": None} == document
    assert (workspace / "Cargo.toml").read_bytes() == manifest
    assert sorted(workspace.glob("target/**/recording.jsonl")) == recordings

    # What only `ci` was refused is there, too.
    granted = manifest.decode() + (
        "[workspace.metadata.buildperm]\nversion = 1\n"
        '[workspace.metadata.buildperm.crates.sample]\nenv = ["CHANNEL"]\n'
        'read = ["$WORKSPACE/data.txt"]\n'
    )
    (workspace / "Cargo.toml").write_text(granted)
    assert buildperm("ci", folder=workspace, extra={"CHANNEL": "beta"}).returncode == 20
    later = listed(workspace)
    titles = {each["title"]: each for each in later["proposals"]}
    assert "read $WORKSPACE/beta.txt" in titles
    assert "read $WORKSPACE/data.txt" not in titles
    assert titles["run perl"]["id"] == perl["id"]
    assert later["token"] != document["token"]
    assert titles["read $WORKSPACE/beta.txt"]["manifest_line"] > 1

    told = buildperm("pending", folder=workspace)
    assert is_orderly(told.stdout)
    assert f"{perl['id']}  sample 0.1.0: run perl (high)" in told.stdout
    assert f"Token {later['token']}." in told.stdout


@pytest.mark.slow
def test_without_a_recording_the_way_to_one_is_told(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", "fn main() {}")
    (workspace / "Cargo.lock").write_text(
        'version = 4\n\n[[package]]\nname = "sample"\nversion = "0.1.0"\n'
    )

    told = buildperm("pending", folder=workspace)

    assert told.stdout == "Nothing is recorded here: run `buildperm learn` first.\n"
    assert listed(workspace)["recorded"] is False


@pytest.mark.parametrize(
    "words", [("--format", "json", "--dry-run"), ("--format", "json", "--from", "x")]
)
@pytest.mark.quick(1)
def test_a_document_is_not_mixed_with_anything_else(tmp_path: Path, words: tuple[str, ...]) -> None:
    told = buildperm("review", *words, folder=tmp_path)

    assert told.returncode == 2
    assert "it cannot go with --format json" in told.stderr
