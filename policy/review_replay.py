"""The steps of an earlier review, as they would be made now."""

from __future__ import annotations

from dataclasses import replace

from buildperm.errors import BuildpermError
from buildperm.policy import answer_limits, edited_rule
from buildperm.policy.decision import Answer, Decision, JournalEntry, SavedDecision, signature
from buildperm.policy.proposal import Proposal, Reason
from buildperm.policy.review_history import Stand
from buildperm.policy.review_ledger import ReviewLedger, at_first


def replayed(ledger: ReviewLedger, entry: JournalEntry) -> Stand:
    """Return what a step of an earlier review would change now.

    What it says of other proposals, and of other crates, is left out. A proposal is undecided if
    its choice no longer exists, or if it is locked by now. Choices that a person wrote are placed
    among those of their proposals.
    """
    decisions = {
        picked.id: _decision(ledger, picked)
        for picked in entry.picked
        if picked.id in ledger and ledger.revision(ledger.proposal(picked.id)) == picked.version
    }
    crates = {proposal.crate for proposal in ledger.proposals}
    terms = {saved.crate: saved.terms for saved in entry.terms if saved.crate in crates}
    return Stand(
        {each: now for each, now in decisions.items() if now != ledger.decision(each)},
        {each: now for each, now in terms.items() if now != ledger.terms(each)},
    )


def _decision(ledger: ReviewLedger, picked: SavedDecision) -> Decision:
    proposal = ledger.proposal(picked.id)
    if proposal.reason is Reason.NEWCOMER:
        return Decision()
    proposal = _with_edit(ledger, proposal, picked.choice)
    found = at_first(proposal)
    if picked.answer is Answer.LATER:
        found = replace(found, answer=Answer.LATER)
    for index, choice in enumerate(proposal.choices):
        if signature(choice) == picked.choice:
            found = Decision(picked.answer, index, picked.elsewhere)
    try:
        answer_limits.refuse(proposal, found)
    except BuildpermError:
        return at_first(proposal)
    return found


def _with_edit(ledger: ReviewLedger, proposal: Proposal, said: tuple[str, ...]) -> Proposal:
    """Return a proposal with the choice that a person wrote in an earlier review."""
    choice = edited_rule.restored(said, proposal)
    if choice is not None:
        ledger.place(proposal, choice)
    return ledger.proposal(proposal.id)
