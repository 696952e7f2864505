"""A trace as plain text: one event a line, below the processes of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.presentation.event_text import VERB_CELLS, time_text
from buildperm.presentation.process_outline import duration_text
from buildperm.presentation.wording import TIMES
from buildperm.printable import shown
from buildperm.report.text import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from buildperm.presentation.process_outline import ProcessNode
    from buildperm.presentation.traced_run import TracedEvent, TracedRun


def trace_lines(
    title: str, runs: Sequence[TracedRun], events: Sequence[TracedEvent], *, is_filtered: bool
) -> Iterator[str]:
    """Yield the lines of a trace.

    Args:
        title: Name and version of the crate.
        runs: Its recordings.
        events: Those that the filter lets through.
        is_filtered: Others were left out.
    """
    for number, run in enumerate(runs):
        if number:
            yield ""
        yield f"{shown(title)}: {shown(run.title)}"
        yield f"  {run.ending}"
        yield f"  {shown(str(run.path))}"
        yield from (f"  ~ {shown(note)}" for note in run.notes)
        yield ""
        yield f"Processes ({len(run.nodes):,})"
        yield from (f"  {process_line(node, run.subject)}" for node in run.nodes)
        yield ""
        found = [each for each in events if each.run == number]
        everything = len(run.recording.events)
        counted = f"{len(found):,} of {everything:,}" if is_filtered else f"{everything:,}"
        yield f"Events ({counted})"
        width = max((len(time_text(each.line.at_ns)) for each in found[-1:]), default=5)
        yield from (f"  {event_text_line(each, max(width, 5))}" for each in found)


def process_line(node: ProcessNode, subject: str) -> str:
    """Write one process of the tree: `├─ sh -c 'echo $x'  [exit 0, 12 ms]`."""
    duration = node.duration_ns
    parts = [node.ending, duration_text(duration) if duration is not None else ""]
    told = ", ".join(filter(None, parts))
    command = shown(subject if node.is_top else node.command)
    return f"{node.branch}{command}" + (f"  [{told}]" if told else "")


def event_text_line(each: TracedEvent, width: int) -> str:
    """Write one event: when, what, how often, how it went, and who did it."""
    line = each.line
    times = f"  {line.count:,}{TIMES}" if line.count > 1 else ""
    outcome = f"  {line.outcome}" if line.outcome else ""
    who = f"  by {shown(each.who)}" if each.who else ""
    what = f"{line.verb:<{VERB_CELLS}} {shown(line.text)}"
    return f"{time_text(line.at_ns):>{width}} {what}{times}{outcome}{who}"


def count_text(shown_events: int, everything: int) -> str:
    """Say how many events are shown: `12 of 3,400 events`."""
    if shown_events == everything:
        return count(everything, "event")
    return f"{shown_events:,} of {count(everything, 'event')}"
