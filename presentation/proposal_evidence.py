"""What lies behind a proposal: command lines, processes, events, sources, words to Cargo."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from buildperm.policy.kinds import Kind
from buildperm.presentation.process_outline import lineage
from buildperm.report.shell_line import recalled_line, shell_line
from buildperm.tracer.recording.event import DirectivePrinted, Executed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from buildperm.policy.access import Access
    from buildperm.policy.proposal import Proposal
    from buildperm.policy.surplus import Surplus
    from buildperm.presentation.event_text import EventLine
    from buildperm.presentation.traced_run import TracedRun
    from buildperm.tracer.recording.event import Event, RecordedProcess

_ALARMING: Final = re.compile(
    r"[a-z]+://|\b(curl|wget|nc|ncat|ssh|scp|base64|eval|sudo|chmod)\b|\|\s*[a-z]*sh\b"
)
"""What an attack on a command line mostly has, and what others seldom have."""


@dataclass(frozen=True, slots=True)
class CommandSeen:
    """One command line, and how often it was seen."""

    line: str  # Quoted as for a shell; visible characters only.
    times: int
    outcome: str = ""  # Empty where it simply ran.
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of a source file that looks as if it asked for an access."""

    package: str  # Name and version.
    file: str  # From the folder of the package on, in notation.
    path: Path
    number: int  # From 1.
    text: str  # As it is in the file, which is anybody's text.
    found: str  # What of the access stands in it: `"git"`.


@dataclass(frozen=True, slots=True)
class RunEvidence:
    """What one recording holds about a proposal."""

    run: TracedRun
    concerned: frozenset[int]  # Keys of the processes that did it.
    events: tuple[Event, ...]  # Those that the proposal is about, oldest first.

    @property
    def title(self) -> str:
        """What ran, for what, and when."""
        verb = "recorded while learning" if self.run.is_learning else "held"
        return f"{self.run.title}, {verb} {self.run.age}"

    @property
    def lineage(self) -> set[int]:
        """Keys of the processes that did it, and of those that led to them."""
        return lineage(self.run.recording.processes, self.concerned)

    @property
    def printed(self) -> tuple[DirectivePrinted, ...]:
        """All that it told Cargo."""
        events = self.run.recording.events
        return tuple(event for event in events if isinstance(event, DirectivePrinted))

    def line(self, number: int) -> EventLine:
        """Write event `number` in words."""
        return self.run.line(self.events[number])


@dataclass(frozen=True, slots=True)
class ProposalEvidence:
    """All that is known about why a proposal is put."""

    commands: tuple[CommandSeen, ...]  # What was run, or who did it; the most alarming first.
    is_run: bool  # The command lines are what was run, rather than what did something else.
    runs: tuple[RunEvidence, ...]
    asking: tuple[SourceLine, ...] = ()  # Likeliest first; found by searching, proves nothing.
    searched: str = ""  # A sentence that says what was searched, for what; empty if nothing was.
    missing: str = ""  # Why there are no recordings; empty if there are.
    surplus: tuple[Surplus | None, ...] = ()  # Of each choice; none where nothing was counted.


def proposal_evidence(
    proposal: Proposal,
    runs: Sequence[RunEvidence],
    *,
    asking: Sequence[SourceLine] = (),
    searched: str = "",
    missing: str = "",
) -> ProposalEvidence:
    """Put together what is known about a proposal.

    Args:
        proposal: What is asked.
        runs: What recordings hold about it; may be none.
        asking: Lines of sources that look as if they asked for it.
        searched: A sentence that says what was searched, and for what.
        missing: Why there are no recordings.
    """
    is_run = any(access.kind is Kind.EXEC for access in proposal.evidence)
    seen = list(_seen(runs, is_run=is_run) if runs else _told(proposal.evidence))
    commands: dict[tuple[str, str, bool], int] = {}
    for each in seen:
        key = each.line, each.outcome, each.is_refused
        commands[key] = commands.get(key, 0) + each.times
    listed = [
        CommandSeen(line, times, outcome, refused)
        for (line, outcome, refused), times in commands.items()
    ]
    return ProposalEvidence(
        tuple(sorted(listed, key=_alarming_first)),
        is_run,
        tuple(runs),
        tuple(asking),
        searched,
        missing,
    )


def run_evidence(run: TracedRun, events: Iterable[Event]) -> RunEvidence:
    """Put together what one recording holds; `events` are those that are meant."""
    # One event can be of two accesses; a look at its identity takes a tenth of one at its fields.
    meant = sorted({id(event): event for event in events}.values(), key=lambda event: event.at_ns)
    return RunEvidence(run, frozenset(_doers(run.recording.processes, meant)), tuple(meant))


def _alarming_first(command: CommandSeen) -> tuple[bool, bool, int]:
    """Order by what a person has to see: only the order rests on it, nothing is left out."""
    return not command.is_refused, _ALARMING.search(command.line) is None, -command.times


def _doers(processes: Mapping[int, RecordedProcess], events: Iterable[Event]) -> Iterator[int]:
    """Yield the keys of the processes that events are about: of a program, those that ran it."""
    became: dict[tuple[bytes, tuple[bytes, ...]], list[int]] = {}
    for process in processes.values():
        became.setdefault((process.program, process.argv), []).append(process.pid)
    for event in events:
        if isinstance(event, DirectivePrinted):
            continue
        ran = became.get((event.path, event.argv), []) if isinstance(event, Executed) else []
        yield from ran or ([event.pid] if event.pid in processes else [])


def _seen(runs: Iterable[RunEvidence], *, is_run: bool) -> Iterator[CommandSeen]:
    """Yield the command lines that were run, or those of the processes that did it."""
    for run in runs:
        nodes = run.run.nodes
        lines = {key: node.command for node in nodes for key in node.keys}
        lines |= {node.process.pid: run.run.subject for node in nodes if node.is_top}
        for number, event in enumerate(run.events):
            line = run.line(number)
            if is_run and isinstance(event, Executed):
                shown = shell_line(event.argv or (event.requested,))
                yield CommandSeen(shown, event.count, line.outcome, event.refused)
            elif not is_run and line.pid in lines:
                yield CommandSeen(lines[line.pid], event.count)


def _told(accesses: Iterable[Access]) -> Iterator[CommandSeen]:
    for access in accesses:
        for noted, times in access.commands:
            yield CommandSeen(recalled_line(noted), times)
