"""The same question about several crates: what counts as the same, and one answer for all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.errors import BuildpermError
from buildperm.policy import reasons
from buildperm.policy.access import Access, Outcome
from buildperm.policy.decision import Answer, Decision
from buildperm.policy.equivalence import EquivalentProposals
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.review_state import Review
from buildperm.policy.rule import Rule

EMPTY = Policy("portable", {}, Path("Cargo.toml"))
GIT, PERL = Rule(Kind.EXEC, "git"), Rule(Kind.EXEC, "perl")


def proposal(
    crate: str,
    *choices: Choice,
    risk: Risk = Risk.MEDIUM,
    locked: str = "",
    reason: Reason = Reason.ASKED,
    version: str = "1.0.0",
    what: str = "",
) -> Proposal:
    choices = choices or (exactly(GIT),)
    seen = [
        Access(rule.kind, rule.pattern, Outcome.DONE, 1, 0, 0, (("script",),))
        for rule in choices[0].rules
    ]
    return Proposal(
        f"{crate}-{version}-{what}", crate, version, what or "run git", choices, risk, ("why",),
        tuple(seen), locked, reason,
    )  # fmt: skip


def exactly(*rules: Rule) -> Choice:
    return Choice("just these", rules)


CC = Choice("preset cc", (), "cc", "the whole preset")


def test_the_same_is_a_choice_that_says_just_the_same() -> None:
    one, other = proposal("a"), proposal("b")
    more, less = proposal("c", exactly(GIT, PERL)), proposal("d", exactly(PERL))
    review = Review([one, other, more, less])

    assert review.same(one.id) == (other.id,)
    assert review.same(other.id) == (one.id,)
    assert review.same(more.id) == ()


def test_another_choice_is_another_question() -> None:
    narrow = proposal("a", exactly(GIT), CC)
    wide = proposal("b", CC)
    both = proposal("c", exactly(PERL), exactly(GIT), CC)
    review = Review([narrow, wide, both])

    assert review.same(narrow.id) == (both.id,)
    review.widen(narrow.id)
    assert set(review.same(narrow.id)) == {wide.id, both.id}
    assert set(review.same(wide.id)) == {narrow.id, both.id}


def test_one_answer_is_given_with_the_choice_that_says_the_same_in_one_step() -> None:
    one = proposal("a")
    other = proposal("b", exactly(PERL), exactly(GIT))
    third = proposal("c", exactly(PERL))
    review = Review([one, other, third])

    entry = review.answer_everywhere(one.id, Answer.ALLOW)

    assert entry is not None
    assert {picked.id for picked in entry.picked} == {one.id, other.id}
    assert review.decision(one.id) == Decision(Answer.ALLOW, 0)
    assert review.decision(other.id) == Decision(Answer.ALLOW, 1, elsewhere=True)
    assert review.decision(third.id) == Decision()
    assert {key: grants.rules for key, grants in review.grants(EMPTY).items()} == {
        "a": {GIT},
        "b": {GIT},
    }
    assert review.undo() is not None
    assert review.counts().allowed == 0
    assert not review.can_undo
    assert review.redo() is not None
    assert review.decision(other.id) == Decision(Answer.ALLOW, 1, elsewhere=True)


def test_a_denial_everywhere_denies_what_was_looked_at() -> None:
    one, other = proposal("a"), proposal("b", exactly(PERL), exactly(GIT))
    review = Review([one, other])

    review.answer_everywhere(one.id, Answer.DENY)

    assert [review.decision(each.id).answer for each in (one, other)] == [Answer.DENY] * 2
    assert {key: grants.denials for key, grants in review.grants(EMPTY).items()} == {
        "a": {GIT},
        "b": {GIT},
    }


def test_what_was_answered_before_keeps_its_answer() -> None:
    one, denied, late = proposal("a"), proposal("b"), proposal("c")
    review = Review([one, denied, late])
    review.deny(denied.id)
    review.later(late.id)

    assert review.same(one.id) == ()
    review.answer_everywhere(one.id, Answer.ALLOW)

    assert review.decision(denied.id).answer is Answer.DENY
    assert review.decision(late.id).answer is Answer.LATER


@pytest.mark.parametrize(
    "other",
    [
        proposal("b", risk=Risk.HIGH),
        proposal("b", risk=Risk.CRITICAL),
        proposal("b", locked="by hand only"),
        proposal("b", reason=Reason.COVERED),
        proposal("b", reason=Reason.UNUSED),
    ],
    ids=["riskier", "critical", "locked", "covered", "unused"],
)
def test_what_needs_a_thought_of_its_own_is_never_answered_along(other: Proposal) -> None:
    one = proposal("a")
    review = Review([one, other])

    assert review.same(one.id) == ()
    review.answer_everywhere(one.id, Answer.ALLOW)
    assert review.decision(other.id) == Decision()


def test_what_is_critical_is_not_answered_along_even_with_its_like() -> None:
    one, other = proposal("a", risk=Risk.CRITICAL), proposal("b", risk=Risk.CRITICAL)
    lower = proposal("c", risk=Risk.HIGH)

    assert Review([one, other, lower]).same(one.id) == (lower.id,)


@pytest.mark.parametrize(
    "rule",
    [
        Rule(Kind.EXEC, "$MANIFEST_DIR/tool"),
        Rule(Kind.EXEC, "$OUT_DIR/**"),
        Rule(Kind.READ, "$TMP/x"),
        Rule(Kind.DIRECTIVE, "rustc-link-arg=-Wl,-T,$OUT_DIR/link.x"),
    ],
    ids=str,
)
def test_what_lies_in_a_folder_of_each_crate_is_another_thing_in_each(rule: Rule) -> None:
    one, other = proposal("a", exactly(rule)), proposal("b", exactly(rule))

    assert Review([one, other]).same(one.id) == ()


@pytest.mark.parametrize("reason", [Reason.COVERED, Reason.UNUSED, Reason.NEWCOMER])
def test_what_is_no_question_is_answered_alone(reason: Reason) -> None:
    one = proposal("a", reason=reason)
    review = Review([one, proposal("b"), proposal("c", reason=reason)])

    assert review.same(one.id) == ()
    entry = review.answer_everywhere(one.id, Answer.DENY)
    assert (entry is None) is (reason is Reason.NEWCOMER)
    assert review.counts().denied == (reason is not Reason.NEWCOMER)


def test_nothing_is_allowed_everywhere_that_cannot_be_allowed_here() -> None:
    locked, other = proposal("a", locked="by hand only"), proposal("b")
    too_wide = exactly(Rule(Kind.WRITE, "$WORKSPACE/**"))
    wide, wider = proposal("c", too_wide), proposal("d", too_wide)
    review = Review([locked, other, wide, wider])

    for each in (locked, wide):
        with pytest.raises(BuildpermError, match="cannot be allowed from here"):
            review.answer_everywhere(each.id, Answer.ALLOW)
    assert review.counts().undecided == 4
    review.answer_everywhere(locked.id, Answer.DENY)
    assert review.decision(other.id).answer is Answer.DENY


def test_what_turns_up_later_is_like_what_was_there() -> None:
    one, late = proposal("a"), proposal("b")
    review = Review([one])
    review.add([late])

    assert review.same(one.id) == (late.id,)
    assert review.same(late.id) == (one.id,)


def test_two_versions_of_a_crate_ask_the_same() -> None:
    one, other = proposal("a"), proposal("a", version="2.0.0")

    assert Review([one, other]).same(one.id) == (other.id,)


def test_risky_grants_of_a_crate_hold_for_no_version_that_was_only_answered_along() -> None:
    """Its risky grants would otherwise come into force for it with nobody looking at it."""
    curl = Rule(Kind.EXEC, "curl")
    had = CrateGrants("b", frozenset({"0.9.0"}), rules=frozenset({curl}))
    policy = Policy("portable", {"b": had}, Path("Cargo.toml"))
    one, other = proposal("a", risk=Risk.HIGH), proposal("b", risk=Risk.HIGH)
    (shown,) = reasons.dormant("b", "1.0.0", had, [other])
    along, alone = Review([one, other]), Review([one, other, shown])
    along.answer_everywhere(one.id, Answer.ALLOW)
    alone.allow(other.id)
    alone.allow(shown.id)

    assert along.grants(policy)["b"] == replace(had, rules=had.rules | {GIT})
    assert alone.grants(policy)["b"].reviewed == {"0.9.0", "1.0.0"}


def test_an_answer_that_was_given_along_is_replayed_as_such() -> None:
    one, other = proposal("a"), proposal("b")
    first, second = Review([one, other]), Review([one, other])
    entry = first.answer_everywhere(one.id, Answer.ALLOW)
    assert entry is not None

    second.replay([entry])

    assert second.decision(other.id) == Decision(Answer.ALLOW, 0, elsewhere=True)
    assert second.allow(other.id) is not None  # Looked at by itself, it is another answer.
    assert second.decision(other.id) == Decision(Answer.ALLOW, 0)


choices = st.sampled_from(
    [exactly(GIT), exactly(PERL), exactly(GIT, PERL), CC, exactly(Rule(Kind.READ, "$OUT_DIR/a"))]
)
drawn = st.lists(
    st.builds(
        lambda crate, version, choices, risk, locked, reason: (
            crate, version, tuple(choices), risk, locked, reason,
        ),
        st.sampled_from("abcd"),
        st.sampled_from(["1.0.0", "2.0.0"]),
        st.lists(choices, min_size=1, max_size=3, unique=True),
        st.sampled_from(Risk),
        st.sampled_from(["", "", "", "locked"]),
        st.sampled_from([Reason.ASKED, Reason.ASKED, Reason.COVERED]),
    ),
    min_size=1,
    max_size=8,
)  # fmt: skip


@given(drawn, st.data())
def test_one_answer_everywhere_says_the_same_everywhere(
    parts: list[tuple[str, str, tuple[Choice, ...], Risk, str, Reason]], data: st.DataObject
) -> None:
    proposals = [
        proposal(
            crate, *choices, risk=risk, locked=locked, reason=reason,
            version=version, what=str(number),
        )
        for number, (crate, version, choices, risk, locked, reason) in enumerate(parts)
    ]  # fmt: skip
    review = Review(proposals)
    one = data.draw(st.sampled_from(proposals))
    review.choose(one.id, data.draw(st.integers(0, len(one.choices) - 1)))
    answer = data.draw(st.sampled_from([Answer.ALLOW, Answer.DENY]))
    before = {each.id: review.decision(each.id) for each in proposals}
    same = review.same(one.id)
    chosen = review.choice(one.id)

    if answer is Answer.ALLOW and one.locked:
        with pytest.raises(BuildpermError):
            review.answer_everywhere(one.id, answer)
        assert {each.id: review.decision(each.id) for each in proposals} == before
        return
    entry = review.answer_everywhere(one.id, answer)

    assert entry is not None
    assert {picked.id for picked in entry.picked} == {one.id, *same}
    assert len({picked.choice for picked in entry.picked}) == 1
    for each in proposals:
        if each.id in same:
            assert review.decision(each.id).answer is answer
            assert review.choice(each.id).rules == chosen.rules
            assert each.risk <= one.risk
            assert each.risk < Risk.CRITICAL
            assert not each.locked
        elif each.id != one.id:
            assert review.decision(each.id) == before[each.id]
    review.undo()
    assert {each.id: review.decision(each.id) for each in proposals} == before


def test_nothing_is_like_what_says_nothing() -> None:
    nothing = Choice("nothing", ())
    one, other = proposal("a", nothing), proposal("b", nothing)

    assert EquivalentProposals([one, other]).find(one, nothing) == {}
