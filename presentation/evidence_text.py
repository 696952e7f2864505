"""What lies behind a proposal as plain lines, one fact each: for prompts and screen readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from buildperm.presentation.event_text import time_text
from buildperm.presentation.process_outline import duration_text
from buildperm.presentation.wording import plural
from buildperm.printable import shown
from buildperm.tracer.recording.event import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from buildperm.presentation.proposal_evidence import ProposalEvidence, RunEvidence

_MOST: Final = {"command line": 40, "process": 40, "event": 20, "line to Cargo": 40}
_GATED: Final = {
    Verdict.FREE: "",
    Verdict.GRANTED: ", granted",
    Verdict.REFUSED: ", refused by buildperm",
    Verdict.FORBIDDEN: ", refused by buildperm; it can never be granted",
}
NO_SOURCES: Final = "Its sources are not at hand."
"""Where there is nothing to search for the line that asks."""


def evidence_facts(evidence: ProposalEvidence, edit: Iterable[str], place: str) -> Iterator[str]:
    """Yield all that is known about a proposal.

    Args:
        evidence: What is known.
        edit: The diff of Cargo.toml for this decision alone.
        place: For which answer that is: "if you allow it".
    """
    if evidence.missing:
        yield f"Evidence: {shown(evidence.missing)}"
    what = "Command" if evidence.is_run else "Done by"
    commands = [
        f"{what}: {shown(each.line)}, {plural(each.times, 'time')}"
        + (f", {each.outcome}" if each.outcome else "")
        for each in evidence.commands
    ]
    yield from _cut(commands, "command line")
    for run in evidence.runs:
        yield from _run_facts(run)
    if evidence.searched:
        yield f"Source: a guess; {shown(evidence.searched)}"
    for line in evidence.asking:
        where = f"{shown(line.package)}, {shown(line.file)} line {line.number}"
        yield f"Source: {where}: {shown(line.text.strip().expandtabs(4))}"
    lines = [text for text in edit if text[:1] in "+-" and not text.startswith(("+++", "---"))]
    yield f"Cargo.toml, {place}: {'stays as it is' if not lines else 'changes by'}"
    yield from (f"  {shown(text)}" for text in lines)


def _run_facts(run: RunEvidence) -> Iterator[str]:
    yield f"Recorded: {shown(run.title)}"
    yield from (f"Note: {shown(note)}" for note in run.run.notes)
    above = run.lineage
    processes = []
    for node in run.run.nodes:
        if above.isdisjoint(node.keys):
            continue
        duration = node.duration_ns
        took = duration_text(duration) if duration is not None else ""
        command = run.run.subject if node.is_top else node.command
        did = "" if run.concerned.isdisjoint(node.keys) else "did it"
        told = ", ".join(filter(None, (node.ending, took, did)))
        level = len(node.guides)
        processes.append(
            f"Process, level {level}: {shown(command)}" + (f", {told}" if told else "")
        )
    yield from _cut(processes, "process")
    events = []
    for number in range(min(len(run.events), _MOST["event"])):
        line = run.line(number)
        outcome = f", {line.outcome}" if line.outcome else ""
        times = plural(line.count, "time")
        at = time_text(line.at_ns)
        events.append(f"Event at {at} s: {line.verb} {shown(line.text)}, {times}{outcome}")
    yield from events
    if len(run.events) > len(events):
        yield f"({len(run.events) - len(events):,} more events; `buildperm trace` has all)"
    told_cargo = [
        f"Told Cargo: {shown(f'{each.key}={each.value}')}{_GATED[each.verdict]}"
        for each in sorted(run.printed, key=lambda each: each.verdict in ("free", "granted"))
    ]
    yield from _cut(told_cargo, "line to Cargo")


def _cut(lines: list[str], noun: str) -> Iterator[str]:
    most = _MOST[noun]
    yield from lines[:most]
    if len(lines) > most:
        rest = len(lines) - most
        yield f"({rest:,} more of this kind; `buildperm trace` has all)"
