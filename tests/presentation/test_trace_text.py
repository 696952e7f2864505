"""A trace as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.presentation.event_filter import parse_filter
from buildperm.presentation.trace_text import count_text, trace_lines
from buildperm.presentation.traced_run import let_through, traced_events
from buildperm.printable import is_visible
from tests.presentation.trace_recordings import traced_run

if TYPE_CHECKING:
    from pathlib import Path


def test_processes_and_events_have_a_line_each(tmp_path: Path) -> None:
    run = traced_run(tmp_path / "recording")

    lines = list(trace_lines("gen 1.0", [run], list(traced_events([run])), is_filtered=False))

    text = "\n".join(lines)
    assert lines[0].startswith("gen 1.0: build script, debug, ")
    assert "  build script\n  ├─ git log '$x'  [exit 0, 7.0 ms]\n  └─ git status  [exit 1, " in text
    assert "Events (7)" in lines
    assert "  0.005 run           git status  2\N{MULTIPLICATION SIGN}  by build script" in lines
    assert "  0.006 read          /srv/data/a.txt  2\N{MULTIPLICATION SIGN}  by git[8]" in lines
    assert "read          /root/.ssh/id  refused by buildperm (EACCES)  by build script" in text


def test_a_filter_says_how_many_it_leaves_out(tmp_path: Path) -> None:
    runs = [traced_run(tmp_path / "one"), traced_run(tmp_path / "two")]
    events = let_through(traced_events(runs), parse_filter("kind:exec"))

    lines = list(trace_lines("gen 1.0", runs, events, is_filtered=True))

    assert lines.count("Events (2 of 7)") == 2


def test_nothing_in_it_is_invisible(tmp_path: Path) -> None:
    run = traced_run(tmp_path / "recording")

    lines = trace_lines("gen\n1", [run], list(traced_events([run])), is_filtered=False)

    assert all(map(is_visible, lines))


def test_counts_in_words() -> None:
    assert count_text(1, 1) == "1 event"
    assert count_text(12, 3_400) == "12 of 3,400 events"
