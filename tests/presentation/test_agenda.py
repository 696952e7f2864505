"""What comes next in a review."""

from __future__ import annotations

from dataclasses import replace

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


def test_what_an_undecided_proposal_includes_is_not_asked_beside_it() -> None:
    folder = Rule(Kind.READ, "$WORKSPACE/proto/**")
    files = replace(
        proposal("proto/a.proto"),
        choices=(*proposal("proto/a.proto").choices, Choice("the folder", (folder,), "", "")),
    )
    listing, apart = proposal("proto"), proposal("secrets")
    elsewhere = replace(proposal("proto", crate="y"), id="elsewhere")
    riskier = replace(proposal("proto/key"), risk=Risk.CRITICAL)
    review = Review([files])
    agenda = Agenda(review, lambda _: None, {})

    agenda.add([listing, apart, elsewhere, riskier])
    assert set(review.proposals) == {files, apart, elsewhere, riskier}

    review.deny(files.id)
    agenda.add([listing])
    assert listing in review.proposals


def test_what_was_left_for_later_does_not_hide_what_comes_up() -> None:
    first, second = proposal("proto"), replace(proposal("proto"), id="again")
    review = Review([first])
    agenda = Agenda(review, lambda _: None, {})
    review.later(first.id)
    agenda.add([second])

    assert second in review.proposals
