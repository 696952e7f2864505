"""Answers from the command line: what each may do, what it writes, and against what it is safe."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from buildperm.workflow.pending_work import PendingWork
from tests.cli.pending_list import listed
from tests.command import buildperm, environment, is_orderly, member
from tests.programs import program_text

SCHEMA = json.loads((resources.files("buildperm.report") / "decide.schema.json").read_text())
SCRIPT = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let _ = std::fs::read_to_string("../data.txt");
    let _ = std::fs::read_to_string("../other/more.txt");
    let _ = std::process::Command::new("perl").arg("-e").arg("1").output();
    let _ = std::fs::write("../../outside.sh", "");
    let _ = std::env::var("API_TOKEN");
}
"""
BETA = """
fn main() {
    if std::env::var("CHANNEL").as_deref() == Ok("beta") {
        let _ = std::fs::read_to_string("../beta.txt");
    }
}
"""
# Never content where it is run again, whatever it is granted.
NEVER_TWICE = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let _ = std::fs::read_to_string("../data.txt");
    assert!(!std::env::var("OUT_DIR").unwrap().contains("rerun"), "not again");
}
"""


def _workspace(folder: Path, script: str, extra: Mapping[str, str] | None = None) -> Path:
    workspace = member(folder / "ws", script)
    (workspace / "other").mkdir()
    for name in ("data.txt", "beta.txt", "other/more.txt"):
        (workspace / name).write_text("data")
    learnt = buildperm("learn", "--no-tui", folder=workspace, extra=extra)
    assert learnt.returncode in (0, 3), learnt.stderr
    return workspace


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a workspace with undecided questions, for answers that must change nothing."""
    return _workspace(tmp_path_factory.mktemp("decide"), SCRIPT, {"API_TOKEN": "ghp_x"})


@pytest.fixture(scope="module")
def asked(untouched: Path) -> Any:  # noqa: ANN401 - JSON
    """Return the questions of that workspace, listed once."""
    return listed(untouched)


def _id(workspace: Path, part: str) -> str:
    return _id_among(listed(workspace), part)


def _id_among(document: Any, part: str) -> str:  # noqa: ANN401 - JSON
    (found,) = (each for each in document["proposals"] if part in each["title"])
    return str(found["id"])


def _decide(workspace: Path, *words: str) -> subprocess.CompletedProcess[str]:
    told = buildperm("decide", *words, folder=workspace)
    assert is_orderly(told.stdout + told.stderr)
    return told


def _grants(workspace: Path) -> dict[str, Any]:
    table = tomllib.loads((workspace / "Cargo.toml").read_text())["workspace"]
    found: dict[str, Any] = table.get("metadata", {}).get("buildperm", {}).get("crates", {})
    return found


def _document(told: subprocess.CompletedProcess[str]) -> Any:  # noqa: ANN401 - JSON
    document = json.loads(told.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


@pytest.mark.parametrize(
    ("title", "words", "exit_code", "said"),
    [
        ("run perl", ("allow", "--token", "TOKEN"), 20, "only a person at a terminal"),
        ("API_TOKEN", ("allow", "--token", "TOKEN"), 20, "Sensitive: not grantable here"),
        ("data.txt", ("allow",), 20, "without the token of the list"),
        ("data.txt", ("allow", "--token", "TOKEN", "--reason", "why"), 20, "cannot give a reason"),
        ("data.txt", ("allow", "--token", "0" * 32), 24, "has changed since it was listed"),
        ("data.txt", ("deny", "--token", "0" * 32), 24, "has changed since it was listed"),
        ("data.txt", ("allow", "--token", "TOKEN", "--rung", "99"), 2, "has no rung 99"),
        ("data.txt", ("deny", "--no-verify"), 2, "only for a person at a terminal"),
        ("data.txt", ("perhaps",), 2, "is not one of"),
    ],
)
@pytest.mark.quick(1)
def test_what_a_program_may_not_decide_changes_nothing(
    untouched: Path,
    asked: Any,  # noqa: ANN401 - JSON
    title: str,
    words: tuple[str, ...],
    exit_code: int,
    said: str,
) -> None:
    before = (untouched / "Cargo.toml").read_bytes()
    token = asked["token"]

    told = _decide(
        untouched,
        _id_among(asked, title),
        *(token if word == "TOKEN" else word for word in words),
    )

    assert told.returncode == exit_code, told.stderr
    assert said in told.stderr
    assert told.stdout == ""
    assert (untouched / "Cargo.toml").read_bytes() == before
    assert listed(untouched)["token"] == token


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (("000000000000", "deny", "--json"), 2, "no question has the id `000000000000`"),
        (("PERL", "allow", "--format", "json", "--token", "TOKEN"), 20, "only a person at"),
        (("PERL", "deny", "--json", "--token", "0" * 32), 24, "has changed since it was listed"),
        (("PERL", "deny", "--json", "--no-verify"), 2, "only for a person at a terminal"),
        (("PERL", "perhaps", "--format=json"), 2, "is not one of"),
        (("PERL", "--json"), 2, "`buildperm pending` lists with each question"),
        (("--json",), 2, "`buildperm decide ID... ANSWER`"),
        (("PERL", "deny", "--json", "--frobnicate"), 2, "No such option"),
    ],
)
@pytest.mark.quick(2)
def test_an_error_is_a_document_where_one_is_wanted(
    untouched: Path,
    asked: Any,  # noqa: ANN401 - JSON
    words: tuple[str, ...],
    exit_code: int,
    said: str,
) -> None:
    known = {"PERL": _id_among(asked, "run perl"), "TOKEN": asked["token"]}

    told = _decide(untouched, *(known.get(word, word) for word in words))

    document = _document(told)
    assert told.returncode == document["exit"] == exit_code
    assert said in document["error"]["message"]
    assert document["error"]["hint"] in " ".join(told.stderr.split())
    assert told.stderr


@pytest.mark.slow
def test_where_nothing_is_recorded_there_is_no_question_to_name(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path, SCRIPT)
    perl = _id(workspace, "run perl")
    shutil.rmtree(workspace / "target")

    told = _decide(workspace, perl, "deny")

    assert told.returncode == 2
    assert "nothing is recorded here" in told.stderr
    assert "buildperm learn" in told.stderr


@pytest.mark.slow
def test_where_one_rung_may_not_be_allowed_those_are_named_that_may(untouched: Path) -> None:
    document = listed(untouched)
    (data,) = (each for each in document["proposals"] if "data.txt" in each["title"])
    locked = len(data["rungs"]) - 1

    told = _decide(
        untouched, data["id"], "allow", "--token", document["token"], "--rung", str(locked)
    )

    assert told.returncode == 20, told.stderr
    assert f"Not by rung {locked}; rungs 0, 1 can be allowed" in " ".join(told.stderr.split())


def test_of_two_answers_at_once_the_second_is_stale(
    untouched: Path,
    asked: Any,  # noqa: ANN401 - JSON
) -> None:
    path = untouched / "Cargo.toml"
    before = path.read_bytes()
    perl = _id_among(asked, "run perl")
    try:
        # While the person types, somebody else writes.
        status, said = _on_terminal(
            untouched, b"sample\n", "decide", perl, "allow", "--no-verify",
            meanwhile=lambda: path.write_bytes(before + b"# another\n"),
        )  # fmt: skip

        assert status == 24, said
        assert "List it again" in said
        assert path.read_bytes() == before + b"# another\n"
    finally:
        path.write_bytes(before)


@pytest.mark.slow
def test_one_answer_for_several_is_given_to_all_or_none(untouched: Path) -> None:
    before = (untouched / "Cargo.toml").read_bytes()
    token = listed(untouched)["token"]
    data, perl = _id(untouched, "data.txt"), _id(untouched, "run perl")

    with_unknown = _decide(untouched, data, "0" * 12, "deny")
    with_risky = _decide(untouched, data, perl, "allow", "--token", token)

    assert with_unknown.returncode == 2
    assert "`buildperm pending` lists those that there are" in with_unknown.stderr
    assert with_risky.returncode == 20
    assert (untouched / "Cargo.toml").read_bytes() == before


def test_an_answer_is_tried_and_written(
    untouched: Path,
    asked: Any,  # noqa: ANN401 - JSON
) -> None:
    files = (untouched / "Cargo.toml", untouched / "buildperm.lock")
    before = {path: path.read_bytes() for path in files if path.exists()}
    try:
        allowed = _decide(
            untouched,
            _id_among(asked, "data.txt"),
            *("allow", "--token", asked["token"], "--format", "json"),
        )

        assert allowed.returncode == 0, allowed.stderr
        said = _document(allowed)
        assert said["written"] is True
        assert '+read = ["$WORKSPACE/data.txt"]' in said["diff"]
        assert _grants(untouched)["sample"]["read"] == ["$WORKSPACE/data.txt"]
        assert said["token"] != asked["token"]
    finally:
        for path in files:
            path.unlink(missing_ok=True)
        for path, content in before.items():
            path.write_bytes(content)


@pytest.mark.slow
def test_answers_are_tried_written_and_hold(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path, SCRIPT, {"API_TOKEN": "ghp_x"})
    document = listed(workspace)

    data = _id(workspace, "data.txt")
    allowed = _decide(
        workspace,
        data,
        "allow",
        "--token",
        document["token"],
        "--format",
        "json",
    )

    assert allowed.returncode == 0, allowed.stderr
    said = _document(allowed)
    assert said["written"] is True
    assert [each["answer"] for each in said["decided"]] == ["allow"]
    assert '+read = ["$WORKSPACE/data.txt"]' in said["diff"]
    assert _grants(workspace)["sample"]["read"] == ["$WORKSPACE/data.txt"]
    left = listed(workspace)
    assert said["token"] == left["token"] != document["token"]
    assert data not in {each["id"] for each in left["proposals"]}

    # It can be taken back, and taken again.
    after = (workspace / "Cargo.toml").read_bytes()
    assert buildperm("undo", folder=workspace).returncode == 0
    assert _grants(workspace) == {}
    assert buildperm("undo", "--redo", folder=workspace).returncode == 0
    assert (workspace / "Cargo.toml").read_bytes() == after

    # All that is left, in one step; the old token is of no use any more.
    ids = [each["id"] for each in left["proposals"]]
    assert _decide(workspace, *ids, "deny", "--token", document["token"]).returncode == 24
    denied = _decide(workspace, *ids, "deny", "--token", left["token"], "--reason", "it says")
    assert denied.returncode == 0, denied.stderr
    assert listed(workspace)["proposals"] == []
    assert _grants(workspace)["sample"]["deny"]["exec"] == ["perl"]
    assert _grants(workspace)["sample"]["reason"] == "it says"
    assert _grants(workspace)["sample"]["read"] == ["$WORKSPACE/data.txt"]
    assert buildperm("ci", folder=workspace, extra={"API_TOKEN": "ghp_x"}).returncode == 0
    # What it names as the next command settles the rest.
    assert "To go on: `buildperm review`." in denied.stdout
    assert buildperm("review", "--no-tui", folder=workspace).returncode == 0
    assert buildperm("check", folder=workspace).returncode == 0


@pytest.mark.slow
def test_later_is_noted_and_grants_nothing(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path, SCRIPT)
    before = (workspace / "Cargo.toml").read_bytes()
    perl = _id(workspace, "run perl")

    told = _decide(workspace, perl, "later", "--json")

    assert told.returncode == 0, told.stderr
    assert _document(told)["written"] is False
    assert _document(told)["decided"][0]["rules"] == []
    assert (workspace / "Cargo.toml").read_bytes() == before
    answers = {each["id"]: each["answer"] for each in listed(workspace)["proposals"]}
    assert answers.pop(perl) == "later"
    assert set(answers.values()) == {"undecided"}


@pytest.mark.slow
def test_what_the_verifying_run_shows_besides_is_listed_next(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path, BETA)
    assert buildperm("ci", folder=workspace, extra={"CHANNEL": "beta"}).returncode == 20
    document = listed(workspace)
    (asked,) = document["proposals"]

    told = _decide(workspace, asked["id"], "allow", "--token", document["token"])

    assert told.returncode == 0, told.stderr
    assert "it wants to read $WORKSPACE/beta.txt" in told.stdout
    (more,) = listed(workspace)["proposals"]
    assert more["title"] == "read $WORKSPACE/beta.txt"
    token = listed(workspace)["token"]
    assert _decide(workspace, more["id"], "allow", "--token", token).returncode == 0
    assert buildperm("ci", folder=workspace, extra={"CHANNEL": "beta"}).returncode == 0


@pytest.mark.slow
def test_what_does_not_work_is_not_written_but_can_be_denied(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path, NEVER_TWICE)
    before = (workspace / "Cargo.toml").read_bytes()
    document = listed(workspace)
    (asked,) = document["proposals"]

    told = _decide(
        workspace, asked["id"], "allow", "--token", document["token"], "--format", "json"
    )

    assert told.returncode == 3, told.stdout
    said = _document(told)
    assert (said["written"], said["exit"]) == (False, 3)
    assert "fails with exit code" in said["failures"][0]["sentence"]
    assert (workspace / "Cargo.toml").read_bytes() == before
    denied = _decide(workspace, asked["id"], "deny")
    assert denied.returncode == 0
    assert "with this, sample 0.1.0 fails with exit code" in denied.stdout
    assert _grants(workspace)["sample"]["deny"] == {"read": ["$WORKSPACE/data.txt"]}


@pytest.mark.parametrize(
    ("typed", "exit_code"), [(b"sample\n", 0), (b"yes\n", 20), (b"\n", 20), (b"\x04", 20)]
)
@pytest.mark.quick(1)
def test_a_person_types_a_name_to_allow_what_is_of_high_risk(
    untouched: Path,
    asked: Any,  # noqa: ANN401 - JSON
    typed: bytes,
    exit_code: int,
) -> None:
    before = (untouched / "Cargo.toml").read_bytes()
    perl = _id_among(asked, "run perl")
    try:
        status, said = _on_terminal(untouched, typed, "decide", perl, "allow", "--no-verify")

        assert status == exit_code, said
        assert "perl -e 1" in said
        assert ("exec" in _grants(untouched).get("sample", {})) is (exit_code == 0)
    finally:
        (untouched / "Cargo.toml").write_bytes(before)


@pytest.mark.slow
def test_on_a_terminal_a_robot_is_one_and_what_is_locked_stays_closed(untouched: Path) -> None:
    before = (untouched / "Cargo.toml").read_bytes()
    robot = _on_terminal(untouched, b"", "decide", _id(untouched, "run perl"), "allow", "--robot")
    secret = _on_terminal(untouched, b"", "decide", _id(untouched, "API_TOKEN"), "allow")

    assert robot[0] == secret[0] == 20
    assert "only a person at a terminal can allow it" in robot[1]
    assert (untouched / "Cargo.toml").read_bytes() == before


def _on_terminal(
    folder: Path, typed: bytes, *words: str, meanwhile: Callable[[], object] = lambda: None
) -> tuple[int, str]:
    """Run a command on a terminal; type once it asks."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        command = [sys.executable, "-m", "buildperm", *words]
        os.execve(command[0], command, environment({"TERM": "dumb", "COLUMNS": "500"}))
    said = ""
    try:
        while piece := os.read(terminal, 4096):
            said += piece.decode(errors="replace")
            if typed and "Answer (" in said:
                meanwhile()
                os.write(terminal, typed)
                typed = b""
    except OSError:
        pass  # The child is gone.
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), " ".join(said.split())


@pytest.mark.slow
def test_a_denial_that_holds_here_alone_is_said_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/data.txt").write_text("data")
    reads = 'fn main() { for each in ["%s", "../data.txt"] { std::fs::read(each).unwrap(); } }'
    workspace = _workspace(tmp_path, reads % (tmp_path / "elsewhere/data.txt"))
    here, anywhere = _id(workspace, "elsewhere"), _id(workspace, "$WORKSPACE/data.txt")
    with monkeypatch.context() as there:
        there.chdir(workspace)
        work = PendingWork([])
        for each in (here, anywhere):
            work.keep(work.review.deny(each))

    told = buildperm("pending", folder=workspace).stdout.splitlines()
    denied = _decide(workspace, here, anywhere, "deny").stdout.splitlines()

    assert next(one for one in told if here in one).endswith(", denied on this machine only)")
    assert next(one for one in told if anywhere in one).endswith(", denied)")
    (marked,) = (one for one in denied if one.startswith("Denied on this machine only: "))
    assert "elsewhere/data.txt: it is" in marked


@pytest.mark.slow
def test_a_link_to_a_cache_is_settled_by_its_two_questions(tmp_path: Path) -> None:
    """One by one, in either order: what was allowed first is not asked about as an older grant."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/lib.so").write_text("a library")
    links = program_text("links_beside_programs.rs", LIBRARY=str(tmp_path / "cache/lib.so"))
    for number, order in enumerate((1, -1)):
        workspace = _workspace(tmp_path / str(number), links)
        asked = [each["id"] for each in listed(workspace)["proposals"]][::order]
        assert len(asked) == 2

        for each in asked:
            status, said = _on_terminal(workspace, b"sample\n", "decide", each, "allow")
            assert status == 0, said

        assert listed(workspace)["proposals"] == []
        done = buildperm("ci", folder=workspace)
        assert done.returncode == 0, done.stdout
