"""Whether a build script depends on a variable: it is run with and without it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from buildperm.policy import effect
from tests.command import LEARN, buildperm, is_orderly, member
from tests.programs import program_text

_SCRIPT = program_text("depends_on_environment.rs")
_GENERATES = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("FLAVOUR").is_some() {
        println!("cargo::rustc-env=TASTE=sweet");
    }
    let _ = std::fs::write("../stamp.txt", "");
    let _ = std::process::Command::new("cc").arg("--version").output();
}
"""
_SET = {
    "FLAVOUR": "sweet",
    "ASKED_FOR_NOTHING": "1",
    "ONLY_SAID": "1",
    "NEVER_TOUCHED": "1",
    "GITHUB_TOKEN": "ghp_secret",
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _learnt(tmp_path_factory.mktemp("env-diff"), _SET)


@pytest.fixture(scope="module")
def restless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _learnt(tmp_path_factory.mktemp("restless"), _SET | {"RESTLESS": "1"})


def _learnt(folder: Path, extra: dict[str, str]) -> Path:
    workspace = member(folder / "ws", _SCRIPT)
    (workspace / "flavours.txt").write_text("sweet")
    told = buildperm(*LEARN, folder=workspace, extra=extra)
    assert told.returncode == 0, told.stderr
    return workspace


def _told(workspace: Path, *words: str) -> str:
    told = buildperm("env-diff", *words, folder=workspace)
    assert told.returncode == 0, told.stderr
    assert is_orderly(told.stdout + told.stderr), told.stdout
    return told.stdout


def _document(workspace: Path, *words: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(_told(workspace, *words, "--format", "json"))


def _refused(workspace: Path, *words: str) -> str:
    told = buildperm("env-diff", *words, folder=workspace)
    assert told.returncode == 2, told.stdout
    assert is_orderly(told.stderr), told.stderr
    assert told.stdout == ""
    return told.stderr


def test_a_variable_that_matters_is_told_with_everything_that_it_changes(workspace: Path) -> None:
    told = _told(workspace, "sample", "FLAVOUR")

    assert told.startswith("sample 0.1.0 depends on `FLAVOUR`: without `FLAVOUR` it goes another")
    assert "It asks libc for the variable." in told
    assert "gone: rustc-cfg=flavoured (1 time)" in told
    assert "gone: rustc-env=TASTE=sweet (1 time)" in told
    assert "gone: ev%1B%5B2J%E2%80%AEil.rs (5 bytes, sha256 " in told
    assert "gone: read $WORKSPACE/flavours.txt (done)" in told
    assert "always.rs" not in told
    assert "not compared" not in told


@pytest.mark.parametrize(
    ("name", "asked"), [("ASKED_FOR_NOTHING", True), ("ONLY_SAID", False), ("NEVER_TOUCHED", False)]
)
@pytest.mark.slow
def test_a_variable_that_does_not_matter_is_told_to_be_so(
    workspace: Path, name: str, asked: bool
) -> None:
    document = _document(workspace, "sample@0.1.0", name)

    assert (document["differs"], document["stable"]) == (False, True)
    (run,) = document["runs"]
    assert run["before"] == "1"
    assert run["asked_for"] is asked
    assert [run[each]["differences"] for each in ("files", "directives", "accesses")] == [[]] * 3
    assert _told(workspace, "sample", name).startswith(
        f"sample 0.1.0 does the same without `{name}`: nothing differs."
    )


def test_a_value_is_set_instead_and_the_document_says_what_is_otherwise(workspace: Path) -> None:
    document = _document(workspace, "sample", "FLAVOUR", "--value", "sour")

    assert (document["variable"], document["value"]) == ("FLAVOUR", "sour")
    assert (document["differs"], document["stable"]) == (True, True)
    (run,) = document["runs"]
    (file,) = run["files"]["differences"]
    assert file["item"] == "ev%1B%5B2J%E2%80%AEil.rs"
    assert re.fullmatch("5 bytes, sha256 [0-9a-f]{64}", file["before"])
    assert re.fullmatch("4 bytes, sha256 [0-9a-f]{64}", file["after"])
    assert run["directives"]["differences"] == [
        {"item": "rustc-env=TASTE=sour", "before": None, "after": "1 time"},
        {"item": "rustc-env=TASTE=sweet", "before": "1 time", "after": None},
    ]
    assert run["accesses"]["differences"] == []
    assert run["exit"] == {"before": 0, "after": 0, "stable": True}


@pytest.mark.slow
def test_the_value_that_it_has_changes_nothing_and_a_failure_is_told_with_its_words(
    workspace: Path,
) -> None:
    same = _document(workspace, "sample", "FLAVOUR", "--value", "sweet")
    bitter = _told(workspace, "sample", "FLAVOUR", "--value", "bitter")

    assert same["differs"] is False
    assert "exit code: 0, with the change 101" in bitter
    assert "nobody wants" in bitter
    assert "\x1b" not in bitter


@pytest.mark.slow
def test_a_variable_that_was_not_set_can_be_tried_out(workspace: Path) -> None:
    document = _document(workspace, "sample", "RESTLESS", "--value", "")

    assert document["runs"][0]["before"] is None
    assert document["differs"] is True
    items = [each["item"] for each in document["runs"][0]["files"]["differences"]]
    assert {"stamp", "tmp"} <= set(items)


@pytest.mark.slow
def test_what_is_not_even_the_same_twice_is_left_out_and_told(restless: Path) -> None:
    document = _document(restless, "sample", "NEVER_TOUCHED")
    told = _told(restless, "sample", "NEVER_TOUCHED")
    matters = _document(restless, "sample", "FLAVOUR")

    assert (document["differs"], document["stable"]) == (False, False)
    (run,) = document["runs"]
    assert "stamp" in run["files"]["unstable"]
    assert any(item.startswith("tmp/") for item in run["files"]["unstable"])
    assert any(item.startswith("rustc-env=STAMP=") for item in run["directives"]["unstable"])
    assert "does the same without `NEVER_TOUCHED`, as far as can be told" in told
    assert "not even the same twice without the change" in told
    # What is not stable hides nothing that is.
    assert (matters["differs"], matters["stable"]) == (True, False)
    assert [each["item"] for each in matters["runs"][0]["directives"]["differences"]] == [
        "rustc-cfg=flavoured",
        "rustc-env=TASTE=sweet",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sample", "NO_SUCH_THING"), "was not set when"),
        (("sample", "GITHUB_TOKEN"), "never reaches the build script"),
        (("sample", "HOME"), "is set by buildperm itself"),
        (("sample", "PATH"), "is set by buildperm itself"),
        (("sample", "BUILDPERM_SESSION"), "is set by buildperm itself"),
        (("sample", "OUT_DIR"), "no build script can be held"),
        (("sample", "A=b"), "is not the name of a variable"),
        (("sample", ""), "is not the name of a variable"),
        (("nobody", "FLAVOUR"), "no package with a build script is called `nobody`"),
    ],
)
@pytest.mark.quick(1)
def test_a_question_that_makes_no_sense_is_refused(
    workspace: Path, words: tuple[str, ...], said: str
) -> None:
    assert said in _refused(workspace, *words)


@pytest.mark.slow
def test_it_answers_right_after_learning_whatever_was_granted_by_that(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", _GENERATES)

    assert buildperm(*LEARN, folder=workspace, extra={"FLAVOUR": "sweet"}).returncode == 3
    learnt = (workspace / "Cargo.toml").read_text()
    # As a person has allowed it, denied it, and forgotten all of it.
    for answer in (
        'write = ["$WORKSPACE/stamp.txt"]\n',
        'deny = { write = ["$WORKSPACE/stamp.txt"] }\n',
        None,
    ):
        manifest = learnt.partition("[workspace.metadata")[0] if answer is None else learnt + answer
        (workspace / "Cargo.toml").write_text(manifest)
        told = _told(workspace, "sample", "FLAVOUR")

        assert told.startswith("sample 0.1.0 depends on `FLAVOUR`")


@pytest.mark.slow
def test_without_a_recording_the_way_to_one_is_told(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", "fn main() {}")
    (workspace / "sample/src/lib.rs").write_text("")
    told = buildperm("env-diff", "sample", "PROFILE", folder=workspace)
    if "Cargo.lock" in told.stderr:  # It is looked at as it is.
        _generate_lock(workspace)

    assert "`buildperm learn`" in _refused(workspace, "sample", "PROFILE")


def _generate_lock(workspace: Path) -> None:
    (workspace / "Cargo.lock").write_text(
        'version = 4\n\n[[package]]\nname = "sample"\nversion = "0.1.0"\n'
    )


@pytest.mark.slow
def test_the_recording_stays_as_it_was(workspace: Path) -> None:
    target = workspace / "target/buildperm/learn"
    before = {
        path: path.read_bytes()
        for path in target.glob("*/build/*/buildperm/recording.jsonl")
        if "buildperm-rerun" not in str(path)
    }
    _told(workspace, "sample", "FLAVOUR")

    assert before
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.slow
def test_only_what_is_new_in_a_restless_group_is_doubtful() -> None:
    first = {"t/1": "x", "a": "x", "b": "x"}
    second = {"t/2": "x", "a": "x", "b": "y"}
    changed = {"t/3": "x", "n": "x", "b": "z"}

    found = effect.compare(first, second, changed, group=lambda item: item.rpartition("/")[0])

    assert [each.item for each in found.differences] == ["a", "n"]
    assert found.unstable == ("b", "t/1", "t/2", "t/3")
