"""The steps of an earlier review, as they would be made now."""

from __future__ import annotations

from dataclasses import replace

from buildperm.errors import BuildpermError
from buildperm.policy import answer_limits, edited_rule, expiry, merging
from buildperm.policy.decision import (
    Answer,
    Decision,
    JournalEntry,
    ReviewAction,
    SavedDecision,
    signature,
)
from buildperm.policy.grants import Policy
from buildperm.policy.proposal import Proposal, Reason
from buildperm.policy.review_history import Stand
from buildperm.policy.review_ledger import ReviewLedger, at_first
from buildperm.policy.rule import Rule


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


def allowed_beside_open(ledger: ReviewLedger) -> JournalEntry | None:
    """Return what was allowed to versions that are still asked about something else.

    They do not count as reviewed yet, so that Cargo.toml cannot tell it from what was allowed to
    another version. None if there is nothing such.
    """
    open_ = {
        (proposal.crate, proposal.version)
        for proposal, decision in ledger.decided()
        if not merging.is_settled(proposal, decision)
    }
    picked = tuple(
        ledger.saved(proposal.id)
        for proposal, decision in ledger.decided()
        if (proposal.crate, proposal.version) in open_
        and proposal.reason in (Reason.ASKED, Reason.DORMANT)
        and decision.answer is Answer.ALLOW
    )
    return JournalEntry(ReviewAction.DECIDE, picked) if picked else None


def still_written(ledger: ReviewLedger, entry: JournalEntry, policy: Policy) -> JournalEntry:
    """Return what of an entry Cargo.toml still grants."""
    return replace(
        entry, picked=tuple(each for each in entry.picked if _is_written(ledger, each, policy))
    )


def kept_by_answers(ledger: ReviewLedger) -> Stand:
    """Return answers about grants from before that were allowed to this very version.

    A version that is still asked about something does not count as reviewed, so that a risky grant
    which was just allowed to it looks like one for versions before it.
    """
    allowed: dict[tuple[str, str], set[Rule]] = {}
    for proposal, decision in ledger.decided():
        if proposal.reason is Reason.ASKED and decision.answer is Answer.ALLOW:
            rules = allowed.setdefault((proposal.crate, proposal.version), set())
            rules.update(proposal.choices[decision.chosen].rules)
    kept = {}
    for proposal, decision in ledger.decided():
        rules = allowed.get((proposal.crate, proposal.version), set())
        is_open = proposal.reason is Reason.DORMANT and decision.answer is Answer.UNDECIDED
        if is_open and rules.issuperset(proposal.choices[decision.chosen].rules):
            kept[proposal.id] = replace(decision, answer=Answer.ALLOW)
    return Stand(kept)


def _is_written(ledger: ReviewLedger, picked: SavedDecision, policy: Policy) -> bool:
    if picked.id not in ledger:
        return False
    proposal = ledger.proposal(picked.id)
    grants = policy.crates.get(proposal.crate)
    if grants is None or expiry.is_over(grants.expires, expiry.today()):
        return False
    choices = (*proposal.choices, edited_rule.restored(picked.choice, proposal))
    return any(
        signature(each) == picked.choice
        and grants.rules.issuperset(each.rules)
        and grants.consumers.issuperset(each.consumers)
        and (not each.preset or each.preset in grants.presets)
        for each in choices
        if each is not None
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
