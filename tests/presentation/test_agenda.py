"""What comes next in a review."""

from __future__ import annotations

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Risk
from buildperm.policy.review_state import Review
from buildperm.policy.rule import Rule
from buildperm.presentation.agenda import Agenda


def proposal(name: str, *, crate: str = "x") -> Proposal:
    rule = Rule(Kind.READ, f"$WORKSPACE/{name}")
    seen = Access(rule.kind, rule.pattern, Outcome.DONE, 1, 0, 1, (("build",),))
    choices = (Choice("exactly this file", (rule,), "", ""),)
    return Proposal(name, crate, "1.0.0", f"read {name}", choices, Risk.LOW, ("why",), (seen,), "")


def test_next_and_previous_undecided_go_round() -> None:
    first, second, third, fourth = shown = (
        *map(proposal, ("first", "second", "third")),
        proposal("fourth", crate="y"),
    )
    review = Review(shown)
    agenda = Agenda(review, lambda _: None, {})
    review.allow(second.id)

    assert agenda.next_undecided(None, 1) == first
    assert agenda.next_undecided(first, 1) == third
    assert agenda.next_undecided(fourth, 1) == first
    assert agenda.next_undecided(third, -1) == first
    assert agenda.next_undecided(first, -1) == fourth
    assert agenda.next_undecided(None, -1) == fourth
    review.later(first.id, third.id, fourth.id)
    assert agenda.next_undecided(first, 1) is None
    assert Agenda(Review([]), lambda _: None, {}).next_undecided(None, 1) is None
