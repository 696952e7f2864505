"""What a program may decide for a person: deny and leave anything, allow what a batch might."""

from __future__ import annotations

from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.risk import assess_rule

ROBOT_LIMIT = Risk.MEDIUM
"""The highest risk that a program may allow, of the proposal and of each rule."""


def risk_of(proposal: Proposal, choice: Choice) -> Risk:
    """Return the risk of allowing a proposal by one of its choices."""
    return max((proposal.risk, *(assess_rule(rule)[0] for rule in choice.rules)))


def why_not_by_person(proposal: Proposal, choice: Choice) -> str:
    """Say why no command line may allow it; empty if a person at a terminal may."""
    if proposal.locked or choice.locked:
        return proposal.locked or choice.locked
    if proposal.reason not in (Reason.ASKED, Reason.DORMANT):
        return "It is no question."
    return ""


def why_not_by_robot(proposal: Proposal, choice: Choice) -> str:
    """Say why a program may not allow it; empty if it may."""
    why = why_not_by_person(proposal, choice)
    if why:
        return why
    if risk_of(proposal, choice) > ROBOT_LIMIT:
        risk = risk_of(proposal, choice).name.lower()
        return f"Its risk is {risk}: only a person at a terminal can allow it."
    if proposal.reason is not Reason.ASKED:
        return "It keeps a risky grant in force: only a person at a terminal can do that."
    if choice.consumers:
        return "It grants something to others than this workspace: only a person can do that."
    return ""
