"""Reports for people: plain lines that survive a log file, a pipe and a screen reader."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from buildperm.policy.access import Access, Kind, Outcome
from buildperm.policy.proposal import Choice, Proposal, Risk
from buildperm.report.run import BuildRun, ScriptRun

_SHOWN = 5  # Accesses listed per finding; the rest is counted.

WORD = {Risk.LOW: "low", Risk.MEDIUM: "medium", Risk.HIGH: "HIGH", Risk.CRITICAL: "CRITICAL"}


def count(number: int, singular: str, plural: str = "") -> str:
    """Write `number` with its noun: `1 event`, `2 events`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def rule_lines(proposal: Proposal, choice: Choice) -> list[str]:
    """Write the lines of Cargo.toml that `choice` stands for."""
    table = f"[workspace.metadata.buildperm.crates.{_key(proposal.crate)}]"
    if choice.preset:
        return [table, f"presets = [{_quoted(choice.preset)}]"]
    by_kind: dict[Kind, list[str]] = {}
    for rule in choice.rules:
        by_kind.setdefault(rule.kind, []).append(_quoted(rule.pattern))
    lists = (f"{kind} = [{', '.join(patterns)}]" for kind, patterns in by_kind.items())
    return [table, *lists]


def warnings(scripts: Iterable[ScriptRun]) -> Iterator[str]:
    """Tell where a recording does not hold all that was done: what was not seen is not asked."""
    for script in scripts:
        who = f"{script.crate} {script.version}"
        if script.failure:
            yield f"warning: {who}: {script.failure}"
        if script.dropped:
            yield f"warning: {who}: {_dropped(script)}"


def _dropped(script: ScriptRun) -> str:
    return f"{count(script.dropped, 'event')} did not fit into the recording"


def way(run: ScriptRun) -> str:
    """Say how the crate got into the dependency graph."""
    return " > ".join(run.way)


def findings(run: BuildRun) -> Iterator[str]:
    """Tell, line by line, who did what beyond the grants and how to go on."""
    for script in run.offenders:
        yield f"{script.crate} {script.version}"
        if len(script.way) > 1:
            yield f"  gets in through {way(script)}"
        if script.failure:
            yield f"  failed by buildperm: {script.failure}"
        if script.dropped:
            yield f"  {_dropped(script)}"
        for proposal in script.findings:
            yield from _finding(proposal)
        yield ""


def _finding(proposal: Proposal) -> Iterator[str]:
    yield f"  {WORD[proposal.risk]}: {proposal.title}"
    for reason in proposal.reasons:
        yield f"      {reason}"
    for access in proposal.evidence[:_SHOWN]:
        yield f"    - {_access(access)}"
        for chain in access.chains[:1]:
            yield f"      by {' > '.join(chain)}"
    if len(proposal.evidence) > _SHOWN:
        yield f"    - and {len(proposal.evidence) - _SHOWN} more"
    if proposal.locked:
        yield f"    cannot be allowed by a decision: {proposal.locked}"
    else:
        yield "    would be allowed by:"
        for line in rule_lines(proposal, proposal.ladder[0]):
            yield f"      {line}"


def _access(access: Access) -> str:
    outcome = {
        Outcome.DONE: "done, this runtime could not prevent it",
        Outcome.FAILED: "failed of its own",
        Outcome.REFUSED: "refused",
    }[access.outcome]
    times = f", {access.count:,} times" if access.count > 1 else ""
    return f"{access.kind} {access.target}: {outcome}{times}"


def table(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Align `rows` in columns; the first row is the heading."""
    cells = list(rows)
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        first, *rest = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join((first, *rest)).rstrip()


def summary(scripts: Iterable[ScriptRun]) -> Iterator[str]:
    """Count events, accesses and what is to be decided for each build script."""
    yield from table(
        [
            ("build script", "events", "accesses", "decisions"),
            *(
                (
                    f"{script.crate} {script.version}",
                    f"{script.events:,}",
                    f"{script.accesses:,}",
                    f"{len(script.findings)}",
                )
                for script in scripts
            ),
        ]
    )


def _key(crate: str) -> str:
    bare = all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in crate)
    return crate if bare else _quoted(crate)


def _quoted(text: str) -> str:
    """Write `text` as a basic string, which TOML and JSON write alike for printable characters."""
    return json.dumps(text, ensure_ascii=False)
