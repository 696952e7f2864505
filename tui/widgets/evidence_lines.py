"""What lies behind a proposal, as lines of a sheet: one tab each."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Protocol

from buildperm.presentation.event_text import VERB_CELLS, time_text
from buildperm.presentation.evidence_text import NO_SOURCES
from buildperm.presentation.process_outline import ProcessNode, duration_text
from buildperm.presentation.wording import TIMES, plural
from buildperm.printable import printable, shown
from buildperm.report.text import count
from buildperm.tracer.recording.event import Verdict
from buildperm.tui.widgets.styled_line import Line, Piece, hanging

if TYPE_CHECKING:
    from buildperm.policy.surplus import Surplus
    from buildperm.presentation.event_text import EventLine
    from buildperm.presentation.proposal_evidence import ProposalEvidence, RunEvidence

TABS: Final = ("Commands", "Processes", "Events", "Source", "Output", "Cargo.toml")
"""The tabs, in the order of their keys."""

COMMANDS, PROCESSES, EVENTS, SOURCE, TOLD, MANIFEST = range(len(TABS))

_MOST_COMMANDS: Final = 2_000
_MOST_TOLD: Final = 500
_MOST_NODES: Final = 60
_CONTEXT_MOST: Final = 400  # Characters of a line of somebody's source.


class Rows(Protocol):
    """Lines of a sheet, made when they come into view."""

    def count(self, cells: int) -> int:
        """Return how many there are at this width."""

    def line(self, number: int, cells: int) -> Line:
        """Return one of them."""


class WrittenRows:
    """Lines that are written together, anew for each width."""

    def __init__(self, writer: Callable[[int], Iterable[Line]]) -> None:
        self._writer = writer
        self._cells = -1
        self._lines: tuple[Line, ...] = ()

    def count(self, cells: int) -> int:
        """Return how many there are at this width."""
        if cells != self._cells:
            self._cells, self._lines = cells, tuple(self._writer(cells))
        return len(self._lines)

    def line(self, number: int, cells: int) -> Line:
        """Return one of them."""
        self.count(cells)
        return self._lines[number]


class EventRows:
    """One line for each event, below a heading for each recording."""

    def __init__(self, runs: Iterable[RunEvidence]) -> None:
        self._runs = tuple(runs)
        self._ends = tuple(accumulate(len(run.events) + 1 for run in self._runs))
        self._names = tuple(run.run.names for run in self._runs)

    def count(self, cells: int) -> int:
        """Return how many there are, whatever the width."""
        del cells
        return self._ends[-1] if self._ends else 0

    def line(self, number: int, cells: int) -> Line:
        """Return one of them."""
        del cells
        at = bisect_right(self._ends, number)
        run = self._runs[at]
        inner = number - (self._ends[at - 1] if at else 0)
        if not inner:
            return Line(
                ((shown(run.title), "heading"),), ((count(len(run.events), "event"), "muted"),)
            )
        return event_row(run.line(inner - 1), self._names[at])


def event_row(line: EventLine, programs: dict[int, str]) -> Line:
    """Write one event: when, what, how it went, and who did it."""
    tone = "bad" if line.is_refused else "muted" if line.has_failed else ""
    pieces: list[Piece] = [
        (f"{time_text(line.at_ns):>8} ", "muted"),
        (f"{line.verb:<{VERB_CELLS}} ", tone or "strong"),
        (line.text, tone),
    ]
    if line.count > 1:
        pieces.append((f"  {line.count:,}{TIMES}", "muted"))
    if line.brief:
        pieces.append((f"  {line.brief}", tone or "muted"))
    who = programs.get(line.pid, "")
    return Line(tuple(pieces), ((printable(who), "muted"),) if who else ())


@dataclass(frozen=True, slots=True)
class ManifestEdit:
    """What Cargo.toml would say for one decision alone."""

    lines: tuple[str, ...] = ()  # The diff, or a sentence that says why there is none.
    place: str = ""  # For which answer: "if you allow it by the chosen rule".
    tone: str = ""  # Of a rule that is added: green is for what is of low risk alone.
    surplus: Surplus | None = None  # What that adds on this machine, if it was counted.


def rows_of(tab: int, evidence: ProposalEvidence, edit: ManifestEdit) -> Rows:
    """Return the lines of one tab.

    Args:
        tab: Index into `TABS`.
        evidence: What is known.
        edit: What Cargo.toml would say.
    """
    if tab == EVENTS and evidence.runs:
        return EventRows(evidence.runs)
    writers = {
        COMMANDS: partial(command_lines, evidence),
        PROCESSES: partial(process_lines, evidence),
        EVENTS: partial(_missing, evidence),
        SOURCE: partial(source_lines, evidence),
        TOLD: partial(told_lines, evidence),
        MANIFEST: partial(manifest_lines, edit),
    }
    return WrittenRows(writers[tab])


def command_lines(evidence: ProposalEvidence, cells: int) -> Iterator[Line]:
    """Yield every command line: what was run, or who did it."""
    if not evidence.commands:
        yield from _missing(evidence, cells)
        return
    number = plural(len(evidence.commands), "command line")
    head = f"Ran {number}" if evidence.is_run else f"First done by {number}"
    yield Line(((head, "heading"),))
    for command in evidence.commands[:_MOST_COMMANDS]:
        tone = "bad" if command.is_refused else ""
        lead: Piece = (f"{f'{command.times:,}{TIMES}':>6} ", "muted")
        yield from hanging((lead,), shown(command.line), tone, cells)
        if command.outcome:
            yield from hanging(((" " * 7, ""),), command.outcome, tone or "muted", cells)
    if len(evidence.commands) > _MOST_COMMANDS:
        more = f"… and {len(evidence.commands) - _MOST_COMMANDS:,} more; `buildperm trace` has all"
        yield Line(((more, "muted"),))


def process_lines(evidence: ProposalEvidence, cells: int) -> Iterator[Line]:
    """Yield the processes of each recording as a tree; those that did it are marked."""
    if not evidence.runs:
        yield from _missing(evidence, cells)
        return
    for number, run in enumerate(evidence.runs):
        if number:
            yield Line()
        yield Line(((shown(run.title), "heading"),))
        for note in run.run.notes:
            yield from hanging((("~ ", "waiting"),), shown(note), "", cells)
        above, nodes = run.lineage, run.run.nodes
        few = len(nodes) <= _MOST_NODES
        for node in nodes:
            if few or above.intersection(node.keys):
                yield process_row(node, run.run.subject, run.concerned, above)
        hidden = 0 if few else sum(above.isdisjoint(node.keys) for node in nodes)
        if hidden:
            text = f"… and {hidden:,} other processes, which did nothing of this"
            yield Line(((text, "muted"),))


def process_row(
    node: ProcessNode, subject: str, concerned: frozenset[int], above: set[int]
) -> Line:
    """Write one process: who, how long, how it ended; marked if it did what is asked about."""
    did = not concerned.isdisjoint(node.keys)
    tone = "strong" if did else "muted" if above.isdisjoint(node.keys) else ""
    pieces: tuple[Piece, ...] = (
        ("▸ " if did else "  ", "accent"),
        (node.branch, "muted"),
        (shown(subject if node.is_top else node.command), tone),
    )
    duration = node.duration_ns
    told = (
        (f"{node.ending}  ", "bad" if node.has_failed else "muted"),
        (f"{duration_text(duration) if duration is not None else '':>8}", "muted"),
    )
    return Line(pieces, told)


def source_lines(evidence: ProposalEvidence, cells: int) -> Iterator[Line]:
    """Yield the lines of sources that look as if they asked for it."""
    if not evidence.asking:
        text = f"No line found: {evidence.searched}" if evidence.searched else NO_SOURCES
        if evidence.missing and not evidence.searched:
            text = evidence.missing
        yield from hanging((), text, "muted", cells)
        return
    text = f"Best effort: {evidence.searched} A match proves nothing."
    yield from hanging((), text, "muted", cells)
    package = ""
    for each in evidence.asking:
        if each.package != package:
            package = each.package
            yield Line()
            yield Line(((shown(package), "heading"),))
        lead: Piece = (f"{printable(each.file)}:{each.number}", "accent")
        yield Line((lead,), ((printable(each.found), "muted"),))
        text = printable(each.text.strip().expandtabs(4)[:_CONTEXT_MOST])
        yield from hanging((("    ", ""),), text, "", cells)


def told_lines(evidence: ProposalEvidence, cells: int) -> Iterator[Line]:
    """Yield what the script printed for Cargo; what was refused comes first."""
    printed = [(run, each) for run in evidence.runs for each in run.printed]
    if not printed:
        if evidence.missing:
            yield from _missing(evidence, cells)
        else:
            yield Line((("It told Cargo nothing.", "muted"),))
        return
    yield Line((("What the script told Cargo", "heading"),))
    bad = (Verdict.FORBIDDEN, Verdict.REFUSED)
    for _, each in sorted(printed, key=lambda item: item[1].verdict not in bad)[:_MOST_TOLD]:
        is_bad = each.verdict in bad
        times = f"{each.count:,}{TIMES} " if each.count > 1 else ""
        lead: Piece = ("⊘ " if is_bad else "  ", "bad")
        text = f"{times}{each.key}={each.value}" if each.value else f"{times}{each.key}"
        yield from hanging((lead,), shown(text), "bad" if is_bad else "", cells)
        if is_bad:
            never = each.verdict is Verdict.FORBIDDEN
            why = "refused by buildperm" + ("; it can never be granted" if never else "")
            yield Line((("  ", ""), (why, "muted")))
    if len(printed) > _MOST_TOLD:
        yield Line(((f"… and {len(printed) - _MOST_TOLD:,} more", "muted"),))


def manifest_lines(edit: ManifestEdit, cells: int) -> Iterator[Line]:
    """Yield what Cargo.toml would say for this decision alone, and what that adds on this disk."""
    yield Line(((edit.place, "heading"),))
    surplus = edit.surplus
    if surplus is not None and (surplus.files or not surplus.is_complete):
        yield from hanging((), str(surplus), "bad" if surplus.keys else "muted", cells)
    if not edit.lines:
        yield Line((("Cargo.toml stays as it is.", "muted"),))
    for text in edit.lines:
        if text.startswith(("--- ", "+++ ")):
            continue
        mark = text[:1]
        tone = {"+": "", "-": "removed", "@": "hunk"}.get(mark, "muted")
        if mark == "+" and "[" in text.partition("=")[2]:
            tone = edit.tone
        yield from hanging(((mark, tone),), shown(text[1:]), tone, cells)


def _missing(evidence: ProposalEvidence, cells: int) -> Iterator[Line]:
    yield from hanging((), shown(evidence.missing or "Nothing is known."), "muted", cells)
