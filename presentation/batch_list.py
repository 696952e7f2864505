"""What one answer decides about several proposals, listed in full and in groups."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildperm.policy.role import role_text
from buildperm.presentation.outline import has_line
from buildperm.presentation.proposal_cause import by_cause
from buildperm.presentation.wording import short_title, version_text
from buildperm.printable import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from buildperm.policy.proposal import Proposal


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One proposal of a list, in words that no other one of the list has."""

    proposal: Proposal
    title: str
    rule: str  # What would be stored, in full.


@dataclass(frozen=True, slots=True)
class BatchGroup:
    """The rows of one crate that have one cause."""

    crate: str
    version: str
    cause: str  # Empty where the rows say as much.
    rows: tuple[BatchRow, ...]


def batch_groups(rows: Sequence[tuple[Proposal, str]]) -> Iterator[BatchGroup]:
    """Put rows together crate by crate and cause by cause, the riskiest first in each group.

    A crate is looked at when its groups are wanted, since there may be hundreds.

    Args:
        rows: Proposals, each with its rules as Cargo.toml has them.
    """
    crates: dict[tuple[str, str], list[Proposal]] = {}
    for proposal, _ in rows:
        crates.setdefault((proposal.crate, proposal.version), []).append(proposal)
    rules = {proposal.id: rule for proposal, rule in rows}
    for (crate, version), proposals in crates.items():
        told = _told_apart(proposals, rules)
        causes = by_cause(sorted(proposals, key=lambda each: -each.risk), {})
        for cause in causes:
            listed = tuple(told[each.id] for each in cause.proposals)
            name = shown(cause.name) if has_line(cause, causes) else ""
            yield BatchGroup(shown(crate), version_text(version), name, listed)


def _told_apart(proposals: Iterable[Proposal], rules: dict[str, str]) -> dict[str, BatchRow]:
    """Make the rows of one crate; where two would read the same, add what tells them apart."""
    rows = {
        each.id: BatchRow(each, short_title(each), glossed_rule(each, rules[each.id]))
        for each in proposals
    }
    for more in (_who, _targets, _id):
        counts = Counter((row.title, row.rule) for row in rows.values())
        for key, row in rows.items():
            if counts[row.title, row.rule] > 1:
                rows[key] = BatchRow(row.proposal, f"{row.title}{more(row.proposal)}", row.rule)
    return rows


def glossed_rule(proposal: Proposal, rule: str) -> str:
    """Return the rules, what presets are, or what is at stake where nothing would be stored.

    Args:
        proposal: What the rules are about.
        rule: The rules as Cargo.toml has them.
    """
    for choice in proposal.choices:
        if choice.preset and rule.startswith(f"preset {choice.preset}") and choice.widening:
            return f"{rule}: {shown(choice.widening)}"
    return rule or ", ".join(shown(each.target) for each in proposal.evidence)


def _who(proposal: Proposal) -> str:
    return f" ({shown(role_text(proposal.roles) or 'build script')})"


def _targets(proposal: Proposal) -> str:
    return f": {', '.join(shown(each.target) for each in proposal.evidence)}"


def _id(proposal: Proposal) -> str:
    return f" [{proposal.id}]"
