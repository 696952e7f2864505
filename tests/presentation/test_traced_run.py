"""Recordings to look through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildperm.presentation.event_filter import parse_filter
from buildperm.presentation.traced_run import TracedRun, let_through, traced_events
from tests.presentation.trace_recordings import traced_run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> TracedRun:
    """Return a run of a script that ran git twice."""
    return traced_run(tmp_path / "recording.jsonl")


def test_a_run_says_what_it_was_and_how_it_ended(run: TracedRun) -> None:
    assert run.title == "build script, debug, x86_64-unknown-linux-gnu, features default"
    assert run.ending.startswith("exit 1, ")
    assert run.ending.endswith("recorded while learning 3 minutes ago")
    assert run.notes == ()


def test_what_does_not_show_is_said(tmp_path: Path) -> None:
    light = traced_run(tmp_path / "light", observation="light", mode="enforcing")

    (note,) = light.notes
    assert "--observe everything" in note
    assert "held 3 minutes ago" in light.ending


def test_processes_are_named_by_program_and_number(run: TracedRun) -> None:
    assert [run.name(key) for key in (7, 8, 9, 10, 0)] == [
        "build script", "git[8]", "git[9]", "", "",
    ]  # fmt: skip


def test_below_a_process_is_what_it_has_started(run: TracedRun) -> None:
    script, log, status = run.nodes

    assert run.below(script) == {7, 8, 9}
    assert run.below(log) == {8}
    assert run.below(status) == {9}


def test_events_are_of_one_run_and_of_some_processes(run: TracedRun, tmp_path: Path) -> None:
    events = list(traced_events([run, traced_run(tmp_path / "other")]))
    everything = len(run.recording.events)

    assert len(events) == 2 * everything
    assert len(let_through(events, None, 1)) == everything
    assert [each.who for each in let_through(events, None, 0, {8})] == ["git[8]"]
    refused = let_through(events, parse_filter("is:refused"), 0)
    assert [each.line.text for each in refused] == [
        "/root/.ssh/id", "rustc-link-arg=-fuse-ld=/tmp/x",
    ]  # fmt: skip
