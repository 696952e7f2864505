"""A trace as a JSON document: what recordings hold, with every event in words as well."""

from __future__ import annotations

from dataclasses import fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from buildperm.presentation.process_outline import status_text
from buildperm.report.shell_line import shell_line
from buildperm.tracer.notation import encode
from buildperm.tracer.recording.event import DirectivePrinted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buildperm.presentation.traced_run import TracedEvent, TracedRun
    from buildperm.tracer.recording.event import Event, RecordedProcess

VERSION = 1
"""Of the document."""


def trace_document(
    crate: str, version: str, runs: Sequence[TracedRun], events: Sequence[TracedEvent]
) -> dict[str, Any]:
    """Return the document: see `trace.schema.json`.

    Args:
        crate: Name of the package.
        version: Its version.
        runs: Its recordings.
        events: Those that the filter lets through.
    """
    by_run: list[list[TracedEvent]] = [[] for _ in runs]
    for each in events:
        by_run[each.run].append(each)
    return {
        "format": "buildperm-trace",
        "version": VERSION,
        "crate": crate,
        "crate_version": version,
        "runs": [_run(run, found) for run, found in zip(runs, by_run, strict=True)],
    }


def _run(run: TracedRun, events: Sequence[TracedEvent]) -> dict[str, Any]:
    header, end = run.recording.header, run.recording.end
    return {
        "recording": encode(str(run.path).encode("utf-8", "surrogateescape")),
        "subject": header.subject,
        "consumer": header.consumer.crate if header.consumer else "",
        "target": header.target,
        "profile": header.profile,
        "features": list(header.features),
        "mode": header.mode,
        "observation": header.observation,
        "duration": end.duration_ns,
        "status": end.status,
        "exit": end.exit,
        "notes": list(run.notes),
        "processes": [_process(each) for each in run.recording.processes.values()],
        "events_recorded": len(run.recording.events),
        "events": [_event(each) for each in events],
    }


def _process(process: RecordedProcess) -> dict[str, Any]:
    told: dict[str, Any] = {
        "pid": process.pid,
        "parent": process.parent,
        "program": encode(process.program),
        "argv": [encode(word) for word in process.argv],
        "command": shell_line(process.argv or (process.program,)),
    }
    if process.started_ns is not None:
        told["started"] = process.started_ns
    if process.ended_ns is not None:
        told["ended"] = process.ended_ns
    if process.status is not None:
        told["status"] = process.status
        told["ending"] = status_text(process.status)
    return told


def _event(each: TracedEvent) -> dict[str, Any]:
    """Write an event with the names that a recording has for its fields."""
    event = each.event
    told: dict[str, Any] = {"type": event.TYPE, "at": event.at_ns}
    if not isinstance(event, DirectivePrinted):
        told["pid"] = event.pid
    told |= _own_fields(event)
    told["count"] = event.count
    told["text"] = f"{each.line.verb} {each.line.text}"
    if each.line.outcome:
        told["outcome"] = each.line.outcome
    return told


def _own_fields(event: Event) -> dict[str, Any]:
    return {
        field.name: _value(getattr(event, field.name))
        for field in fields(event)
        if field.name not in ("at_ns", "pid", "count")
    }


def _value(value: object) -> object:
    if isinstance(value, bytes):
        return encode(value)
    if isinstance(value, tuple):
        return [_value(each) for each in value]
    return str(value) if isinstance(value, StrEnum) else value
