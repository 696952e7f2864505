"""Rules that hold on this machine alone, in words; elsewhere nothing lies at their paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.policy import portability
from buildperm.policy.decision import Answer
from buildperm.policy.merging import refused_by
from buildperm.policy.proposal import Reason
from buildperm.printable import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from buildperm.policy.proposal import Proposal
    from buildperm.policy.review_state import Review
    from buildperm.policy.rule import Rule


def denied_here(review: Review, proposal: Proposal) -> tuple[Rule, ...]:
    """Return the denials of a proposal that hold on this machine alone; none unless denied.

    What goes along with a program that is denied has no denial of its own.
    """
    decision = review.decision(proposal.id)
    is_denial = proposal.reason in (Reason.ASKED, Reason.COVERED)
    if not is_denial or decision.answer is not Answer.DENY:
        return ()
    rules = refused_by(proposal, proposal.choices[decision.chosen])
    local = tuple(rule for rule in sorted(rules) if portability.why_denied_here(rule))
    return () if local and _goes_along(review, proposal) else local


def denied_here_lines(rules: Iterable[Rule]) -> Iterator[str]:
    """Yield a line for each reason, with the first rule that it is true of."""
    found: dict[str, list[str]] = {}
    for rule in rules:
        found.setdefault(portability.why_local(rule), []).append(rule.pattern)
    for why, patterns in found.items():
        others = f" and {len(patterns) - 1:,} more" if len(patterns) > 1 else ""
        yield shown(f"Denied {portability.SHORT}: {patterns[0]}{others}: {why}")


def here_mark(rule: Rule, *, is_denial: bool = False) -> str:
    """Return what is put behind a rule of Cargo.toml that holds on this machine alone."""
    why = portability.why_denied_here(rule) if is_denial else portability.why_local(rule)
    return f" ({portability.SHORT})" if why else ""


def _goes_along(review: Review, proposal: Proposal) -> bool:
    return bool(proposal.wanted_by) and any(
        (each.crate, each.version) == (proposal.crate, proposal.version)
        and proposal.wanted_by in each.runs
        and review.decision(each.id).answer is Answer.DENY
        for each in review.proposals
    )
