"""A build that lacks something of the system: what to install is said, and for whom."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from tests.command import CI, LEARN, buildperm, member

# Nobody has this one installed: the package of a table's entry that pkg-config does not find.
LACKS = """
fn main() {
    println!("cargo:rerun-if-env-changed=NOTMUCH_NO_PKG_CONFIG");
    eprintln!("The system library `notmuch` required by crate `sample` was not found.");
    std::process::exit(1);
}
"""
READS_AND_LACKS = LACKS.replace("{", '{ let _ = std::fs::read("../data.txt");', 1)
LACKS_NOTHING = """
fn main() {
    eprintln!("The system library `notmuch` required by crate `sample` was not found.");
    println!("cargo:warning=goes on without");
}
"""


@pytest.mark.parametrize("words", [CI, LEARN], ids=["ci", "learn"])
@pytest.mark.quick(1)
def test_a_failed_build_says_what_to_install(words: tuple[str, ...], tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", LACKS)
    ended = buildperm(*words, folder=workspace)

    line, *last = (each for each in ended.stderr.splitlines() if "install" in each)
    assert line.startswith("sample 0.1.0 failed: pkg-config knows no library `notmuch`")
    assert bool(last) is (words == LEARN)


@pytest.mark.slow
def test_the_end_says_what_settles_it(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", READS_AND_LACKS)
    (workspace / "data.txt").write_text("data")

    ended = buildperm(*LEARN, folder=workspace)
    denied = buildperm("review", "--no-tui", "--accept", "low", folder=workspace)

    for told in (ended, denied):
        *_, heading, line = told.stderr.splitlines()
        assert heading.startswith("To go on, install what is missing; then run `buildperm ")
        assert line.startswith("  sample 0.1.0: pkg-config knows no library `notmuch`: `")
        assert "asks about it again" not in told.stderr


@pytest.mark.parametrize(
    ("words", "schema"),
    [
        ((*CI, "--format", "json"), "ci"),
        (("learn", "--format", "json"), "pending"),
    ],
    ids=["ci", "learn"],
)
@pytest.mark.quick(1)
def test_programs_are_told_it_too(words: tuple[str, ...], schema: str, tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", LACKS)
    ended = buildperm(*words, folder=workspace)

    document = json.loads(ended.stdout)
    file = resources.files("buildperm.report") / f"{schema}.schema.json"
    jsonschema.Draft202012Validator(json.loads(file.read_text())).validate(document)
    (missing,) = (document if schema == "ci" else document["build_failure"])["missing"]
    assert (missing["crate"], missing["version"]) == ("sample", "0.1.0")
    assert (missing["kind"], missing["name"]) == ("pkg-config", "notmuch")
    assert missing["install"].endswith(" ".join(missing["packages"]))
    assert f"sample 0.1.0 failed: {missing['sentence']}" in ended.stderr


@pytest.mark.slow
def test_a_build_that_does_not_fail_lacks_nothing(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", LACKS_NOTHING)
    ended = buildperm(*CI, "--format", "json", folder=workspace)

    assert ended.returncode == 0
    assert "install" not in ended.stderr
    assert json.loads(ended.stdout)["missing"] == []
