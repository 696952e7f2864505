"""The ledger of a review: proposals, the decisions about them, and every step, to be taken back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from buildperm.policy import closed_rules, edited_rule
from buildperm.policy.answer_tally import AnswerTally
from buildperm.policy.decision import (
    Answer,
    Decision,
    JournalEntry,
    ReviewAction,
    SavedDecision,
    SavedTerms,
    Terms,
    signature,
)
from buildperm.policy.proposal import Choice, Proposal
from buildperm.policy.review_history import ReviewHistory, Stand


class ReviewLedger:
    """How everything stands in a review. What may be decided, `Review` knows."""

    def __init__(
        self,
        proposals: Iterable[Proposal],
        revisions: Mapping[tuple[str, str], str],
        terms: Mapping[str, Terms],
        closed: closed_rules.Closed = closed_rules.nothing,
    ) -> None:
        """Begin with nothing decided.

        Args:
            proposals: In the order in which they are shown.
            revisions: What counts as reviewed then, by key and version; the version by default.
            terms: What Cargo.toml says of each crate's grants now, by key.
            closed: Says why a rule cannot be written here; what only such a rule allows is locked.

        Raises:
            ValueError: Two proposals about the same version have the same id.
        """
        self.closed = closed
        self.proposals = _with_unique_ids(closed_rules.locked(each, closed) for each in proposals)
        self._by_id = {proposal.id: proposal for proposal in self.proposals}
        if len(self._by_id) != len(self.proposals):
            raise ValueError("two proposals about the same version with the same id")
        self.revisions = dict(revisions)
        self._decisions = {each.id: at_first(each) for each in self.proposals}
        self.tally = AnswerTally(self.decided())
        self._terms = dict(terms)
        self._terms_before = dict(terms)  # As Cargo.toml has them.
        self._history = ReviewHistory()

    # How things stand.

    def __contains__(self, proposal_id: object) -> bool:
        return proposal_id in self._by_id

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def proposal(self, proposal_id: str) -> Proposal:
        """Return the proposal with an id, with the choices that a person wrote."""
        return self._by_id[proposal_id]

    def decision(self, proposal_id: str) -> Decision:
        """Return what has been decided about one proposal."""
        return self._decisions[proposal_id]

    def choice(self, proposal_id: str) -> Choice:
        """Return the chosen way to allow one proposal."""
        return self._by_id[proposal_id].choices[self._decisions[proposal_id].chosen]

    def decided(self) -> Iterator[tuple[Proposal, Decision]]:
        """Yield every proposal with the decision about it."""
        return ((proposal, self._decisions[proposal.id]) for proposal in self.proposals)

    def terms(self, crate: str) -> Terms:
        """Return what holds for all grants of a crate: the reason, and the last day."""
        return self._terms.get(crate, Terms())

    def terms_before(self, crate: str) -> Terms:
        """Return the terms of a crate as Cargo.toml has them."""
        return self._terms_before.get(crate, Terms())

    def new_terms(self) -> dict[str, Terms]:
        """Return the terms that Cargo.toml does not have yet, by crate."""
        return {
            crate: terms
            for crate, terms in self._terms.items()
            if terms != self.terms_before(crate)
        }

    def revision(self, proposal: Proposal) -> str:
        """Return what counts as reviewed once everything about its version is decided."""
        return self.revisions.get((proposal.crate, proposal.version), proposal.version)

    def without_answers(self, ids: Iterable[str], crate: str = "") -> Stand:
        """Return what changes where answers, and the terms of a crate if named, are taken back."""
        decisions = {}
        for each in ids:
            known = self._decisions[each]
            cleared = replace(known, answer=Answer.UNDECIDED, elsewhere=False)
            if cleared != known:
                decisions[each] = cleared
        before = self.terms_before(crate)
        changed = bool(crate) and self.terms(crate) != before
        return Stand(decisions, {crate: before} if changed else {})

    # What is asked.

    def add(self, proposals: Iterable[Proposal]) -> tuple[Proposal, ...]:
        """Add new proposals as undecided, and return them; what is there already stays as it is."""
        new = (closed_rules.locked(each, self.closed) for each in proposals)
        everything = _with_unique_ids((*self.proposals, *new))
        added = {each.id: each for each in everything if each.id not in self._by_id}
        self._by_id |= added
        for proposal in added.values():
            self._decisions[proposal.id] = at_first(proposal)
            self.tally.put(proposal, self._decisions[proposal.id])
        self.proposals = tuple(self._by_id.values())
        return tuple(added.values())

    def place(self, proposal: Proposal, choice: Choice) -> int:
        """Return the index of a choice that a person wrote; it is added where it is new."""
        now, index = edited_rule.placed(proposal, choice)
        self._by_id[proposal.id] = now
        self.proposals = tuple(self._by_id.values())
        return index

    # Steps.

    def step(self, after: Stand) -> JournalEntry:
        """Make one step; return the entry for the journal."""
        before = Stand(
            {each: self._decisions[each] for each in after.decisions},
            {each: self.terms(each) for each in after.terms},
        )
        self._history.add(before, after)
        return self._set(ReviewAction.DECIDE, after)

    def undo(self) -> JournalEntry | None:
        """Take back the last step, if there is one."""
        stand = self._history.undo()
        return None if stand is None else self._set(ReviewAction.UNDO, stand)

    def redo(self) -> JournalEntry | None:
        """Do again what was last taken back, if there is anything."""
        stand = self._history.redo()
        return None if stand is None else self._set(ReviewAction.REDO, stand)

    def repeat(self, act: ReviewAction, stand: Stand) -> JournalEntry | None:
        """Make a step of an earlier review again: as what it was, where it leads to the same."""
        if act is ReviewAction.UNDO and self._history.would_undo_to(stand):
            return self.undo()
        if act is ReviewAction.REDO and self._history.would_redo_to(stand):
            return self.redo()
        return self.step(stand)

    def saved(self, proposal_id: str) -> SavedDecision:
        """Return how the journal keeps what stands about one proposal."""
        proposal, decision = self._by_id[proposal_id], self._decisions[proposal_id]
        choice = signature(proposal.choices[decision.chosen])
        return SavedDecision(
            proposal_id, self.revision(proposal), decision.answer, choice, decision.elsewhere
        )

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return self._history.can_redo

    def _set(self, act: ReviewAction, stand: Stand) -> JournalEntry:
        for each, decision in stand.decisions.items():
            self.tally.put(self._by_id[each], self._decisions[each], -1)
            self.tally.put(self._by_id[each], decision)
        self._decisions.update(stand.decisions)
        self._terms.update(stand.terms)
        picked = tuple(map(self.saved, stand.decisions))
        terms = tuple(SavedTerms(crate, terms) for crate, terms in stand.terms.items())
        return JournalEntry(act, picked, terms)


def at_first(proposal: Proposal) -> Decision:
    """Return how a proposal stands before anybody has said anything about it."""
    return Decision(chosen=proposal.suggested)


def _with_unique_ids(proposals: Iterable[Proposal]) -> tuple[Proposal, ...]:
    """Give proposals about further versions of a crate ids of their own."""
    versions: dict[str, str] = {}
    apart: list[Proposal] = []
    for proposal in proposals:
        if versions.setdefault(proposal.id, proposal.version) != proposal.version:
            text = f"{proposal.id}@{proposal.version}"
            own = hashlib.sha256(text.encode()).hexdigest()[: len(proposal.id)]
            proposal = replace(proposal, id=own)
        apart.append(proposal)
    return tuple(apart)
