"""What lies behind a proposal, from real files: recordings, Cargo.toml."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from buildperm.policy.decision import Answer
from buildperm.policy.fold import fold
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal
from buildperm.policy.proposals import propose
from buildperm.policy.rule import Rule
from buildperm.tracer.recording import reader
from buildperm.workflow.evidence_source import RecordedEvidence, RecordedFiles
from tests.presentation.trace_recordings import write_recording

MANIFEST = b'[package]\nname = "app"\nversion = "0.1.0"\n'
CRATE = ("tried", "1.0.0")


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Return a recording."""
    return write_recording(tmp_path / "recording.jsonl")


@pytest.fixture
def source(recorded: Path) -> RecordedEvidence:
    """Return a source that knows the recording."""
    return RecordedEvidence(
        lambda: RecordedFiles({CRATE: [(recorded,)]}), lambda: (MANIFEST, Path("Cargo.toml"))
    )


def proposal_about(recorded: Path, kind: Kind, target: str) -> Proposal:
    """Return the proposal about one access of the recording."""
    found = propose(*CRATE, fold(reader.read(recorded)))
    return next(
        each
        for each in found
        if any((access.kind, access.target) == (kind, target) for access in each.evidence)
    )


def test_every_command_line_is_told_quoted_and_counted(
    source: RecordedEvidence, recorded: Path
) -> None:
    evidence = source.of(proposal_about(recorded, Kind.EXEC, "git"))

    runs = {each.line: each.times for each in evidence.commands}
    assert runs == {"git status": 2, "git log '$x'": 1}
    assert evidence.is_run
    assert evidence.missing == ""


def test_a_program_is_marked_where_it_ran(source: RecordedEvidence, recorded: Path) -> None:
    (run,) = source.of(proposal_about(recorded, Kind.EXEC, "git")).runs

    assert run.concerned == {8, 9}
    assert run.lineage == {7, 8, 9}


def test_the_processes_that_did_it_are_told_apart(source: RecordedEvidence, recorded: Path) -> None:
    evidence = source.of(proposal_about(recorded, Kind.READ, "/srv/data/a.txt"))

    (run,) = evidence.runs
    assert run.title.startswith("build script, debug, x86_64-unknown-linux-gnu, features default, ")
    assert "recorded while learning " in run.title
    assert [(node.command, node.ending) for node in run.run.nodes] == [
        ("/out/build", ""), ("git log '$x'", "exit 0"), ("git status", "exit 1"),
    ]  # fmt: skip
    assert run.concerned == {8}, "the same thing done by the same chain of programs is one event"
    assert run.lineage == {7, 8}
    assert [run.line(number).text for number in range(len(run.events))] == ["/srv/data/a.txt"]
    assert not evidence.is_run


def test_what_was_told_to_cargo_is_there_whatever_is_asked(
    source: RecordedEvidence, recorded: Path
) -> None:
    (run,) = source.of(proposal_about(recorded, Kind.EXEC, "git")).runs

    assert [f"{each.key}={each.value}" for each in run.printed] == [
        "rustc-env=KEY=value", "rustc-link-arg=-fuse-ld=/tmp/x",
    ]  # fmt: skip


def test_a_crate_without_recordings_has_what_the_proposal_itself_holds(
    source: RecordedEvidence, recorded: Path
) -> None:
    asked = replace(proposal_about(recorded, Kind.EXEC, "git"), crate="elsewhere")

    evidence = source.of(asked)

    assert evidence.runs == ()
    assert "no recording" in evidence.missing
    assert {each.line for each in evidence.commands} == {"git status", "git log '$x'"}


def test_a_broken_recording_says_what_is_wrong(source: RecordedEvidence, recorded: Path) -> None:
    asked = proposal_about(recorded, Kind.EXEC, "git")
    recorded.write_text(recorded.read_text()[:200])

    assert "cut short" in source.of(asked).missing


def test_a_recording_is_read_once_however_often_it_is_asked_for(
    source: RecordedEvidence, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = proposal_about(recorded, Kind.EXEC, "git")
    first = source.of(asked)
    monkeypatch.setattr(reader, "read", lambda path: pytest.fail(f"read {path} again"))

    assert source.of(asked) == first


def test_a_recording_that_was_made_anew_is_read_anew(
    source: RecordedEvidence, recorded: Path
) -> None:
    asked = proposal_about(recorded, Kind.EXEC, "git")
    first = source.of(asked)
    write_recording(recorded, profile="release")
    os.utime(recorded, ns=(1, 1))

    (run,) = source.of(asked).runs
    assert first.runs[0].title.startswith("build script, debug, ")
    assert run.title.startswith("build script, release, ")


def test_a_run_that_tried_the_decisions_counts_as_well(tmp_path: Path, recorded: Path) -> None:
    tried = tmp_path / "tried.jsonl"
    source = RecordedEvidence(
        lambda: RecordedFiles({CRATE: [(recorded, tried)]}), lambda: (MANIFEST, Path("Cargo.toml"))
    )
    asked = proposal_about(recorded, Kind.EXEC, "git")
    write_recording(tried)
    os.utime(tried, ns=(1, 1))
    assert len(source.of(asked).runs) == 1, "it is of a build before that"

    write_recording(tried)

    assert len(source.of(asked).runs) == 2
    assert {each.line: each.times for each in source.of(asked).commands} == {
        "git status": 4, "git log '$x'": 2,
    }  # fmt: skip


def test_an_edit_is_that_of_this_decision_alone(source: RecordedEvidence, recorded: Path) -> None:
    choice = Choice("git", (Rule(Kind.EXEC, "git"),))
    asked = replace(proposal_about(recorded, Kind.EXEC, "git"), choices=(choice,))

    allowed = source.edit(asked, 0, Answer.ALLOW)
    denied = source.edit(asked, 0, Answer.DENY)

    for diff, said in ((allowed, '+exec = ["git"]'), (denied, '+deny = { exec = ["git"] }')):
        assert said in diff
        assert not any("reviewed" in line for line in diff)
