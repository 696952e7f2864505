"""Answers that go together: the same question of other crates, and what only a program wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from buildperm.policy.decision import Answer, Decision
from buildperm.policy.dependents import Dependents, answer_along
from buildperm.policy.equivalence import EquivalentProposals
from buildperm.policy.proposal import Proposal
from buildperm.policy.review_history import Stand
from buildperm.policy.review_ledger import ReviewLedger


class JointAnswers:
    """Finds what an answer is about besides the proposal that it was given about."""

    def __init__(self, ledger: ReviewLedger) -> None:
        self._ledger = ledger
        self._equivalent = EquivalentProposals(ledger.proposals)
        self._dependents = Dependents(ledger.proposals)

    def add(self, proposals: Iterable[Proposal]) -> None:
        """Take notice of new proposals."""
        added = tuple(proposals)
        self._equivalent.add(added)
        self._dependents.add(added)

    def alike(self, proposal_id: str) -> dict[str, int]:
        """Return, by id, the index of the chosen way in each proposal that asks the same.

        Only those that are undecided.
        """
        ledger = self._ledger
        alike = self._equivalent.find(ledger.proposal(proposal_id), ledger.choice(proposal_id))
        return {
            other: index
            for other, index in alike.items()
            if ledger.decision(other).answer is Answer.UNDECIDED
        }

    def everywhere(self, proposal_id: str, answer: Answer) -> dict[str, Decision]:
        """Return one answer about a proposal, and about all that ask the same, by id."""
        along = {
            other: Decision(answer, at, elsewhere=answer is Answer.ALLOW)
            for other, at in self.alike(proposal_id).items()
        }
        return {proposal_id: Decision(answer, self._ledger.decision(proposal_id).chosen), **along}

    def stand(self, wanted: Mapping[str, Decision]) -> Stand:
        """Return the decisions that really change, with those about what depends on them."""
        everything = {**self._along(wanted), **wanted}
        return Stand(
            {each: now for each, now in everything.items() if self._ledger.decision(each) != now}
        )

    def _along(self, wanted: Mapping[str, Decision]) -> dict[str, Decision]:
        """Return what becomes of what only the programs wanted that are decided about."""
        along: dict[str, Decision] = {}
        for each, new in wanted.items():
            before = self._ledger.decision(each).answer
            for other in self._dependents.of(self._ledger.proposal(each)):
                known = self._ledger.decision(other)
                answer = answer_along(before, new.answer, known.answer)
                if answer is not known.answer:
                    along[other] = replace(known, answer=answer, elsewhere=False)
        return along
