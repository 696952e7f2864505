"""Recordings of a crate to look through: runs, processes, and the events that a filter lets by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildperm.policy.fold import role_of
from buildperm.presentation.event_text import event_line
from buildperm.presentation.process_outline import (
    ProcessNode,
    duration_text,
    outline,
    status_text,
)
from buildperm.tracer.notation import encode
from buildperm.tracer.recording_format import LIGHT, REUSED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from buildperm.presentation.event_filter import EventTest
    from buildperm.presentation.event_text import EventLine
    from buildperm.tracer.recording.event import Event, RecordedProcess
    from buildperm.tracer.recording.reader import Recording


@dataclass(frozen=True, slots=True)
class TracedRun:
    """One recording."""

    path: Path
    age: str  # "3 minutes ago".
    recording: Recording
    nodes: tuple[ProcessNode, ...]

    @classmethod
    def of(cls, path: Path, age: str, recording: Recording) -> TracedRun:
        """Put the processes of a recording in order."""
        return cls(path, age, recording, outline(recording.processes.values()))

    @property
    def subject(self) -> str:
        """What was run: `build script`, `procedural macro for app`."""
        return str(role_of(self.recording.header))

    @property
    def is_learning(self) -> bool:
        """Whether it was recorded while learning, rather than held to its grants."""
        return self.recording.header.mode == "learning"

    @property
    def title(self) -> str:
        """What was run, and for what."""
        header = self.recording.header
        features = (f"features {' '.join(header.features)}",) if header.features else ()
        parts = (self.subject, header.profile, header.target, *features)
        return ", ".join(filter(None, parts))

    @property
    def ending(self) -> str:
        """How it ended, how long it took, and when that was."""
        end = self.recording.end
        verb = "recorded while learning" if self.is_learning else "held"
        duration = duration_text(end.duration_ns)
        return f"{status_text(end.status)}, {duration}, {verb} {self.age}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What does not show in the recording, in sentences."""
        header, end = self.recording.header, self.recording.end
        found = [end.failure, end.voided]
        if end.dropped:
            found.append(f"{end.dropped:,} events did not fit into the recording.")
        if end.left_running:
            found.append(f"{end.left_running:,} processes were still running, and were killed.")
        if end.unseen:
            found.append(f"Which variables it read is not known: {end.unseen}.")
        if header.observation == LIGHT:
            found.append(
                "Files that compilers read are not listed; `buildperm ci --observe everything` "
                "lists them."
            )
        if header.unlisted:
            found.append(
                "What the script itself read in its package or in OUT_DIR is not listed; "
                "`buildperm ci --observe everything` lists it."
            )
        return tuple(filter(None, found))

    def line(self, event: Event) -> EventLine:
        """Write an event of this run in words."""
        return event_line(event, self.recording.header.places)

    def name(self, key: int) -> str:
        """Name the process with this key: `git[812]`; empty for what no process did."""
        process = self.recording.processes.get(key)
        if process is None:
            return ""
        return self.subject if process.parent == 0 else process_name(process)

    @property
    def names(self) -> dict[int, str]:
        """Names of all processes, by key."""
        return {key: self.name(key) for key in self.recording.processes}

    def below(self, node: ProcessNode) -> frozenset[int]:
        """Return the keys of a process and of all that it has started."""
        at = self.nodes.index(node)
        keys = set(node.keys)
        for later in self.nodes[at + 1 :]:
            if len(later.guides) <= len(node.guides):
                break
            keys.update(later.keys)
        return frozenset(keys)


@dataclass(frozen=True, slots=True)
class TracedEvent:
    """One event, in words, of one run."""

    run: int  # Index of the run.
    event: Event
    line: EventLine
    who: str  # The process that did it; empty where none did.
    searched: str  # All that a filter looks at, in lower case.


def traced_events(runs: Iterable[TracedRun]) -> Iterator[TracedEvent]:
    """Yield all events of all runs, in words, run by run in their order."""
    for number, run in enumerate(runs):
        names = run.names
        for event in run.recording.events:
            line = run.line(event)
            who = names.get(line.pid, "")
            searched = f"{line.verb} {line.text} {line.outcome} {who}".lower()
            yield TracedEvent(number, event, line, who, searched)


def let_through(
    events: Iterable[TracedEvent],
    test: EventTest | None,
    run: int | None = None,
    keys: Collection[int] | None = None,
) -> list[TracedEvent]:
    """Return the events that a filter lets through, of one run, and of some processes alone."""
    return [
        each
        for each in events
        if (run is None or each.run == run)
        and (keys is None or each.line.pid in keys)
        and (test is None or test(each))
    ]


def process_name(process: RecordedProcess) -> str:
    """Name a process by its program: `git[812]`."""
    return f"{encode(process.program.rpartition(b'/')[2])}[{process.pid % REUSED}]"
