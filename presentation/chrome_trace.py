"""A trace in the Trace Event Format, which Perfetto and Chrome's `about:tracing` open.

Each run is what the format calls a process, and each process of it a track: a slice as long as it
ran, with its events as instants on it, and an arrow from what started it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildperm.printable import shortened
from buildperm.tracer.recording.event import DirectivePrinted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from buildperm.presentation.process_outline import ProcessNode
    from buildperm.presentation.traced_run import TracedEvent, TracedRun

_NAME_MOST = 120
_CATEGORY = "buildperm"


def chrome_trace(
    title: str, runs: Sequence[TracedRun], events: Sequence[TracedEvent]
) -> dict[str, Any]:
    """Return the document.

    Args:
        title: Name and version of the crate.
        runs: Its recordings.
        events: Those that the filter lets through.
    """
    made: list[dict[str, Any]] = []
    tracks: list[dict[int, int]] = []
    for number, run in enumerate(runs, 1):
        made += _process(number, f"{title}: {run.title}")
        track = {key: at for at, node in enumerate(run.nodes, 1) for key in node.keys}
        tracks.append(track)
        for at, node in enumerate(run.nodes, 1):
            made += _track(number, at, node, run, track)
    made += (_instant(each, tracks[each.run]) for each in events)
    return {"displayTimeUnit": "ms", "traceEvents": made}


def _process(number: int, name: str) -> Iterator[dict[str, Any]]:
    yield _told("process_name", number, 0, {"name": shortened(name, _NAME_MOST)})
    yield _told("process_sort_index", number, 0, {"sort_index": number})


def _track(
    number: int, at: int, node: ProcessNode, run: TracedRun, tracks: dict[int, int]
) -> Iterator[dict[str, Any]]:
    name = run.subject if node.is_top else f"{node.program}[{node.pid}]"
    yield _told("thread_name", number, at, {"name": shortened(name, _NAME_MOST)})
    yield _told("thread_sort_index", number, at, {"sort_index": at})
    for process in (*node.earlier, node.process):
        if process.started_ns is None:
            continue
        ended = process.ended_ns
        if ended is None:
            ended = run.recording.end.duration_ns
        is_last = process is node.process
        yield {
            "name": shortened(node.command if is_last else name, _NAME_MOST),
            "cat": _CATEGORY,
            "ph": "X",
            "pid": number,
            "tid": at,
            "ts": process.started_ns / 1_000,
            "dur": max(ended - process.started_ns, 0) / 1_000,
            "args": {"command": node.command, "pid": node.pid, "ending": node.ending},
        }
    first = node.earlier[0] if node.earlier else node.process
    above = tracks.get(first.parent)
    if above is None or first.started_ns is None:
        return
    arrow = {
        "name": "starts",
        "cat": _CATEGORY,
        "id": number << 32 | at,
        "pid": number,
        "ts": first.started_ns / 1_000,
    }
    yield {**arrow, "ph": "s", "tid": above}
    yield {**arrow, "ph": "f", "bp": "e", "tid": at}


def _instant(each: TracedEvent, tracks: dict[int, int]) -> dict[str, Any]:
    line = each.line
    args: dict[str, Any] = {"text": line.text, "count": line.count}
    if line.outcome:
        args["outcome"] = line.outcome
    is_of_run = isinstance(each.event, DirectivePrinted)
    return {
        "name": shortened(f"{line.verb} {line.text}", _NAME_MOST),
        "cat": "refused" if line.is_refused else line.kind,
        "ph": "i",
        "s": "p" if is_of_run else "t",
        "pid": each.run + 1,
        "tid": tracks.get(line.pid, 1),
        "ts": line.at_ns / 1_000,
        "args": args,
    }


def _told(name: str, pid: int, tid: int, args: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "ph": "M", "pid": pid, "tid": tid, "args": args}
