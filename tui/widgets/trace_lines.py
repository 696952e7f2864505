"""What the cursor of a trace is on, in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.presentation.event_text import time_text
from buildperm.presentation.process_outline import duration_text
from buildperm.presentation.wording import plural
from buildperm.printable import shown
from buildperm.report.shell_line import shell_line
from buildperm.tracer.notation import encode
from buildperm.tui.widgets.styled_line import Line, hanging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildperm.presentation.process_outline import ProcessNode
    from buildperm.presentation.traced_run import TracedEvent, TracedRun


def run_detail(run: TracedRun, cells: int) -> Iterator[Line]:
    """Tell of a whole recording."""
    yield Line(((f"{run.subject}: {run.ending}", "strong"),))
    for note in run.notes:
        yield from hanging((("~ ", "waiting"),), shown(note), "", cells)
    yield from hanging((), shown(str(run.path)), "muted", cells)


def node_detail(node: ProcessNode, run: TracedRun, cells: int) -> Iterator[Line]:
    """Tell of one process."""
    facts = [f"process {node.pid}"]
    if node.process.started_ns is not None:
        facts.append(f"from {time_text(node.process.started_ns)} s")
    duration = node.duration_ns
    if duration is not None:
        facts.append(duration_text(duration))
    if node.ending:
        facts.append(node.ending)
    yield Line(((", ".join(facts), "bad" if node.has_failed else "strong"),))
    yield from hanging((("$ ", "muted"),), shown(node.command), "", cells)
    for earlier in node.earlier:
        line = shell_line(earlier.argv or (earlier.program,))
        yield from hanging((("was ", "muted"),), shown(line), "muted", cells)
    yield from hanging((("file ", "muted"),), shown(encode(node.process.program)), "muted", cells)
    if node.is_top:
        yield from run_detail(run, cells)


def event_detail(event: TracedEvent, cells: int) -> Iterator[Line]:
    """Tell of one event."""
    line = event.line
    tone = "bad" if line.is_refused else "strong"
    at = f"{time_text(line.at_ns)} s, {plural(line.count, 'time')}"
    by = f", first by {shown(event.who)}" if event.who else ""
    yield Line(((f"{line.verb}: ", tone), (f"{at}{by}", "muted")))
    yield from hanging((), shown(line.text), "", cells)
    if line.outcome:
        yield from hanging((), line.outcome, "bad" if line.is_refused else "muted", cells)
