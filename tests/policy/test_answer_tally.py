"""Counting along comes to what counting anew would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.access import Access, Outcome
from buildperm.policy.answer_tally import AnswerTally
from buildperm.policy.decision import Answer
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.review_state import Review
from buildperm.policy.rule import Rule


def _proposal(number: int, risk: Risk, reason: Reason, kind: Kind) -> Proposal:
    seen = Access(kind, f"t{number}", Outcome.DONE, 1, 0, 1, ())
    choice = Choice("it", (Rule(Kind.READ, f"$WORKSPACE/t{number}"),))
    return Proposal(f"id{number}", "x", "1.0.0", "it", (choice,), risk, (), (seen,), reason=reason)


ALL = [
    _proposal(number, risk, reason, kind)
    for number, (risk, reason, kind) in enumerate(
        (risk, reason, kind)
        for risk in (Risk.LOW, Risk.HIGH)
        for reason in Reason
        for kind in (Kind.READ, Kind.SYSTEM)
    )
]


@given(st.data())
def test_the_counts_of_a_review_are_those_of_its_answers(data: st.DataObject) -> None:
    begun = data.draw(st.integers(0, len(ALL)))
    review = Review(ALL[:begun])
    for _ in range(data.draw(st.integers(0, 10))):
        step = data.draw(
            st.sampled_from(["allow", "deny", "later", "clear", "undo", "redo", "add"])
        )
        known = [each.id for each in review.proposals]
        match step:
            case "undo" | "redo":
                getattr(review, step)()
            case "add":
                review.add(data.draw(st.lists(st.sampled_from(ALL))))
            case _:
                if known:
                    getattr(review, step)(data.draw(st.sampled_from(known)))
        assert review.counts() == review.counts(review.proposals)
        given_ = [review.decision(each.id).answer for each in review.proposals]
        assert review.has_answers is any(each is not Answer.UNDECIDED for each in given_)


def test_what_is_taken_out_leaves_nothing_behind() -> None:
    review = Review(ALL)
    tally = AnswerTally()
    for times in (1, -1):
        for each in ALL:
            tally.put(each, review.decision(each.id), times)
    assert tally.counts == AnswerTally().counts
    assert tally.given == 0
