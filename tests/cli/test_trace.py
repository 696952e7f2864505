"""Looking through what was recorded, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from buildperm.presentation import trace_document
from tests.cli.learnt_workspace import HOSTILE, LearntWorkspace, learn

SCHEMA = json.loads((Path(trace_document.__file__).parent / "trace.schema.json").read_text())


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> LearntWorkspace:
    return learn(tmp_path_factory.mktemp("trace"))


def test_without_a_terminal_it_is_text(learnt: LearntWorkspace) -> None:
    told = learnt.run("trace", "app")

    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0].startswith("app 0.1.0: build script, debug, ")
    assert any(line.startswith("  build script  [exit 0, ") for line in lines)
    assert any("└─ " in line or "├─ " in line for line in lines)
    assert any(" read " in line and "$WORKSPACE/other.txt" in line for line in lines)
    assert HOSTILE not in told.stdout


def test_a_filter_leaves_only_what_it_names(learnt: LearntWorkspace) -> None:
    told = learnt.run("trace", "helper@1.0.0", "--filter", "kind:exec is:done")

    events = told.stdout.partition("Events (")[2].splitlines()[1:]
    assert any(" run " in line and "cc --version" in line for line in events)
    assert all(" run " in line for line in events)


def test_json_fits_its_schema_and_has_exit_codes_and_times(learnt: LearntWorkspace) -> None:
    document = learnt.document("trace", "app")

    jsonschema.validate(document, SCHEMA)
    (run,) = document["runs"]
    assert [each["status"] for each in run["processes"] if not each["parent"]] == [0]
    assert all(each["started"] <= each["ended"] <= run["duration"] for each in run["processes"])
    assert any(HOSTILE.encode().hex() not in each["command"] for each in run["processes"])


def test_a_trace_for_perfetto_goes_into_a_file(learnt: LearntWorkspace, tmp_path: Path) -> None:
    made = tmp_path / "trace.json"

    told = learnt.run("trace", "app", "--format", "perfetto", "-o", str(made))

    assert (told.returncode, told.stdout) == (0, "")
    entries = json.loads(made.read_text())["traceEvents"]
    assert {each["ph"] for each in entries} >= {"M", "X", "i", "s", "f"}
    assert all(each["dur"] > 0 for each in entries if each["ph"] == "X")


def test_a_file_that_cannot_be_written_is_an_error(learnt: LearntWorkspace, tmp_path: Path) -> None:
    told = learnt.run("trace", "app", "-o", str(tmp_path / "none" / "trace.txt"))

    assert told.returncode == 2
    assert "cannot write" in told.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "no package with a build script is called `nothing`"),
        (("helper",), "`helper` means 3 packages here"),
        (("app", "--filter", "is:red"), "filter: `is:` can be done, failed, refused"),
        (("library",), "no recording of library"),
    ],
)
def test_what_is_wrong_is_said(learnt: LearntWorkspace, words: tuple[str, ...], said: str) -> None:
    told = learnt.run("trace", *words)

    assert told.returncode == 2
    assert said in told.stderr
    assert "hint: " in told.stderr
    assert told.stdout == ""


def test_a_broken_recording_is_named_and_others_are_shown(
    learnt: LearntWorkspace, tmp_path: Path
) -> None:
    copy = learnt.copy(tmp_path / "ws")
    (good,) = copy.recordings("app", "0.1.0")
    bad = good.parents[2] / "app-0123456789abcdef" / "buildperm" / "recording.jsonl"
    bad.parent.mkdir(parents=True)
    bad.write_text(good.read_text().splitlines()[0] + "\n")

    told = copy.run("trace", "app")

    assert told.returncode == 0
    assert "warning: " in told.stderr
    assert "cut short" in told.stderr
    assert told.stdout.count("Processes (") == 1


def test_without_any_recording_it_says_what_to_do(learnt: LearntWorkspace, tmp_path: Path) -> None:
    told = learnt.copy(tmp_path / "ws", without=("target",)).run("trace", "app")

    assert told.returncode == 2
    assert "there is no recording of app 0.1.0 on this machine" in told.stderr
    assert "Run `buildperm learn`" in told.stderr
