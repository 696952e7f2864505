"""Choosing another rule for a proposal, and what becomes of its answer then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from buildperm.policy import answer_limits, edited_rule
from buildperm.policy.decision import Answer, Decision
from buildperm.policy.narrowing import is_within
from buildperm.policy.review_ledger import ReviewLedger
from buildperm.policy.rule import Rule


def chosen(ledger: ReviewLedger, proposal_id: str, index: int) -> Decision:
    """Return the decision about a proposal with another of its choices.

    The answer stays, unless it was to allow it and this way allows more: nobody has allowed that.

    Raises:
        BuildpermError: It is allowed, and the choice holds a rule that cannot be granted.
        IndexError: There is no such choice.
    """
    proposal = ledger.proposal(proposal_id)
    if not 0 <= index < len(proposal.choices):
        raise IndexError(f"no choice {index}")
    decision = replace(ledger.decision(proposal_id), chosen=index)
    answer_limits.refuse(proposal, decision)
    is_wider = not is_within(proposal.choices[index], ledger.choice(proposal_id))
    return _undecided(decision) if is_wider else decision


def edited(ledger: ReviewLedger, proposal_id: str, rules: Sequence[Rule]) -> Decision:
    """Return the decision about a proposal with rules that a person wrote; place them in it.

    What was allowed is undecided then: nobody has allowed these rules.

    Raises:
        BuildpermError: One of the rules cannot be granted, or there is none.
    """
    proposal = ledger.proposal(proposal_id)
    edited_rule.refuse(rules, proposal, ledger.closed)
    choice = edited_rule.choice(rules, proposal, ledger.choice(proposal_id).consumers)
    index, decision = ledger.place(proposal, choice), ledger.decision(proposal_id)
    now = replace(decision, chosen=index)
    return _undecided(now) if index != decision.chosen else now


def _undecided(decision: Decision) -> Decision:
    """Take back that it is allowed; what else was answered stays."""
    is_allowed = decision.answer is Answer.ALLOW
    return replace(decision, answer=Answer.UNDECIDED, elsewhere=False) if is_allowed else decision
