"""Rules that no grant may say in this workspace, though the same text is fine in another one.

A proposal that only such a rule could allow is locked, so that nobody is offered what cannot be
written, and the answers about everything else are not lost by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from buildperm.policy.proposal import Choice, Proposal, Reason
from buildperm.policy.rule import Rule

Closed = Callable[[Rule], str]
"""Says why nobody is granted what a rule says here; empty if somebody can be."""

_LOCKED = "No grant can allow it: {}."


def nothing(_: Rule) -> str:
    """Close no rule."""
    return ""


def why(choice: Choice, closed: Closed) -> str:
    """Say why a choice cannot be written here; empty if it can."""
    return next((reason for rule in choice.rules if (reason := closed(rule))), "")


def locked(proposal: Proposal, closed: Closed) -> Proposal:
    """Return a proposal without the choices that cannot be written; locked if none is left."""
    if proposal.reason is not Reason.ASKED or proposal.locked:
        return proposal
    reasons = [why(choice, closed) for choice in proposal.choices]
    if not any(reasons):
        return proposal
    left = [index for index, reason in enumerate(reasons) if not reason]
    if not left:
        return replace(proposal, locked=_LOCKED.format(reasons[proposal.suggested]))
    suggested = max((each for each in left if each <= proposal.suggested), default=left[0])
    choices = tuple(proposal.choices[each] for each in left)
    return replace(proposal, choices=choices, suggested=left.index(suggested))
