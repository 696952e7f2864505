"""What may be allowed: one proposal by itself, or several in one step."""

from __future__ import annotations

from functools import lru_cache

from buildperm.errors import BuildpermError
from buildperm.policy import validation
from buildperm.policy.decision import Answer, Decision
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.risk import assess_rule

BATCH_LIMIT = Risk.MEDIUM
"""The highest risk that may be allowed without looking at each proposal."""


def violation(proposal: Proposal, index: int) -> validation.Violation | None:
    """Say why one of the ways to allow a question cannot become grants, if it cannot.

    The reason that the crate's table gives makes no difference: what needs one is sensitive, and
    is granted by hand.
    """
    is_asked = proposal.reason is Reason.ASKED
    return _violation(proposal.choices[index]) if is_asked else None


def refuse(proposal: Proposal, decision: Decision) -> None:
    """Refuse a decision that would allow what cannot be allowed.

    Raises:
        BuildpermError: It would.
    """
    if decision.answer is not Answer.ALLOW:
        return
    what = f"`{proposal.title}` of {proposal.crate} cannot be allowed from here"
    if proposal.locked:
        raise BuildpermError(f"{what}: {proposal.locked}")
    found = violation(proposal, decision.chosen)
    if found is not None:
        raise BuildpermError(f"{what}: {found.what}", hint=found.hint)


def refuse_batch(risk: Risk) -> None:
    """Refuse to allow, in one step, everything up to a risk that is too high for it.

    Raises:
        BuildpermError: It is.
    """
    if risk > BATCH_LIMIT:
        raise BuildpermError(
            f"{risk.name.lower()} risk is never allowed in a batch",
            hint="Look at each of these proposals and allow them one by one.",
        )


def is_acceptable(proposal: Proposal, decision: Decision, risk: Risk) -> bool:
    """Tell whether a proposal may be allowed along with others, up to a risk.

    One whose choice is wider than the suggested one, or allows more than this risk, is left to be
    allowed by itself.
    """
    limit = min(risk, BATCH_LIMIT)
    choice = proposal.choices[decision.chosen]
    return (
        decision.answer is Answer.UNDECIDED
        and proposal.reason is Reason.ASKED
        and not proposal.locked
        and _violation(choice) is None
        and proposal.risk <= limit
        and not (decision.chosen > proposal.suggested and choice.widening)
        and not choice.consumers
        and not choice.is_edited
        and all(assess_rule(rule)[0] <= limit for rule in choice.rules)
    )


@lru_cache(maxsize=20_000)
def _violation(choice: Choice) -> validation.Violation | None:
    """Say why a choice cannot become grants, if it cannot."""
    found = (validation.to_grant(rule, reason="") for rule in choice.rules)
    return next((each for each in found if each is not None), None)
