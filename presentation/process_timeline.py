"""The processes of a run and what they did, laid out on one axis of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from buildperm.presentation.crate_account import JudgedAccess
from buildperm.presentation.process_outline import duration_text, outline
from buildperm.report.html_page import ProcessRow, Severity, TimelineMark
from buildperm.tracer.notation import encode
from buildperm.tracer.recording.event import RecordedProcess
from buildperm.tracer.recording.reader import End

WIDTH = 1000.0
"""Of the axis, whatever is drawn on it."""

_THINNEST = 4.0  # A bar that can still be seen.
_MARKS_MOST = 400


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """The time of one run, from when its first program began."""

    begun_ns: int  # As a recording counts, which begins a little earlier.
    duration_ns: int  # 0 where nothing can be placed.

    @classmethod
    def of(cls, processes: Iterable[RecordedProcess], end: End) -> TimeAxis:
        """Return the axis of a recording; of an older one it begins with the recording."""
        moments = list(processes)
        begun = min((each.started_ns for each in moments if each.started_ns is not None), default=0)
        ended = max((each.ended_ns or 0 for each in moments), default=0) or end.duration_ns
        return cls(begun, max(0, ended - begun))

    def place(self, moment_ns: int) -> float:
        """Return where a moment lies, between 0 and `WIDTH`."""
        return self.length(moment_ns - self.begun_ns)

    def length(self, duration_ns: int) -> float:
        """Return how long something is drawn."""
        part = duration_ns / self.duration_ns if self.duration_ns else 0.0
        return round(min(max(part, 0.0), 1.0) * WIDTH, 1)

    def text(self, moment_ns: int) -> str:
        """Write a moment, counted from the beginning of the axis."""
        return duration_text(max(0, moment_ns - self.begun_ns))


def process_rows(
    processes: Iterable[RecordedProcess], axis: TimeAxis, places: Mapping[str, bytes], most: int
) -> tuple[tuple[ProcessRow, ...], int]:
    """Return a row for each process, and how many there are beyond `most`.

    Args:
        processes: Of one recording.
        axis: On which their bars lie.
        places: Folders by token; command lines name these by it.
        most: So many rows are made.
    """
    nodes = outline(processes)
    rows = []
    for node in nodes[:most]:
        process = node.process
        begun, took = process.started_ns, node.duration_ns
        rows.append(
            ProcessRow(
                node.branch,
                with_tokens(node.command, places),
                node.ending,
                node.has_failed,
                "" if begun is None else axis.text(begun),
                "" if took is None else duration_text(took),
                _bar(begun, took, axis),
            )
        )
    return tuple(rows), max(0, len(nodes) - most)


def marks(judged: Sequence[JudgedAccess], axis: TimeAxis) -> tuple[TimelineMark, ...]:
    """Return the moments at which something beyond the ordinary was first done, the worst last."""
    shown = sorted(judged, key=lambda each: each.severity.rank)[:_MARKS_MOST]
    return tuple(
        TimelineMark(
            axis.place(each.access.first_ns),
            each.severity,
            f"{axis.text(each.access.first_ns)}: {each.access.kind.traits.verb} "
            f"{each.access.target}{'' if each.severity is Severity.CALM else ', not granted'}",
        )
        for each in reversed(shown)
    )


def with_tokens(text: str, *places: Mapping[str, bytes]) -> str:
    """Write the folders in a command line by the short names that runs had, the longest first."""
    known = {(token, folder) for each in places for token, folder in each.items()}
    for token, folder in sorted(known, key=lambda place: (-len(place[1]), place)):
        name = encode(folder)
        if len(name) > 1:  # Not the root folder.
            text = text.replace(f"{name}/", f"${token}/")
    return text


def _bar(begun: int | None, took: int | None, axis: TimeAxis) -> tuple[float, float] | None:
    if begun is None or took is None or not axis.duration_ns:
        return None
    start = min(axis.place(begun), WIDTH - _THINNEST)
    return start, min(max(axis.length(took), _THINNEST), round(WIDTH - start, 1))
