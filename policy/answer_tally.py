"""How far a review has come, counted along with each answer instead of anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from types import MappingProxyType

from buildperm.policy.decision import Answer, Counts, Decision
from buildperm.policy.merging import is_settled
from buildperm.policy.proposal import Proposal, Risk


class AnswerTally:
    """Counts answers; what was put in can be taken out again.

    Undecided is only what is asked, and system calls ask for no answer.
    """

    def __init__(self, decided: Iterable[tuple[Proposal, Decision]] = ()) -> None:
        self._answers: Counter[Answer] = Counter()
        self._open_by_risk = dict.fromkeys(Risk, 0)
        self.given = 0
        """How many answers of whatever kind there are."""
        for proposal, decision in decided:
            self.put(proposal, decision)

    def put(self, proposal: Proposal, decision: Decision, times: int = 1) -> None:
        """Count a decision in, or with -1 out."""
        is_open = not is_settled(proposal, decision)
        if is_open or decision.answer in (Answer.ALLOW, Answer.DENY):
            self._answers[decision.answer] += times
        self._open_by_risk[proposal.risk] += times * is_open
        self.given += times * (decision.answer is not Answer.UNDECIDED)

    @property
    def counts(self) -> Counts:
        """The numbers as they are now."""
        return Counts(
            self._answers[Answer.UNDECIDED],
            self._answers[Answer.ALLOW],
            self._answers[Answer.DENY],
            self._answers[Answer.LATER],
            MappingProxyType(dict(self._open_by_risk)),
        )
