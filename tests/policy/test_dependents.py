"""Dependents: deciding about a program settles what only that program wanted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.access import Access, Outcome
from buildperm.policy.decision import Answer
from buildperm.policy.dependents import answer_along
from buildperm.policy.grants import Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Proposal
from buildperm.policy.proposals import propose
from buildperm.policy.review_state import Review
from buildperm.policy.rule import Rule
from buildperm.policy.undecided_accesses import undecided

EMPTY = Policy("portable", {}, Path("Cargo.toml"))


def _access(kind: Kind, target: str, *causes: str, sensitive: str = "") -> Access:
    made = Access(kind, target, Outcome.DONE, 1, 0, 0, (), sensitive=sensitive)
    return replace(made, causes=causes) if causes else made


SUBMODULES = replace(_access(Kind.EXEC, "git"), commands=(("git submodule update", 1),))
ITS = (
    _access(Kind.EXEC, "sh", "git"),
    _access(Kind.EXEC, "curl", "git"),
    _access(Kind.READ, "$WORKSPACE/.git/config", "git"),
)
OWN = _access(Kind.READ, "$WORKSPACE/x/a")


def _review(*accesses: Access) -> tuple[Review, dict[str, str]]:
    review = Review(propose("a", "1.0.0", accesses))
    return review, {proposal.title: proposal.id for proposal in review.proposals}


def _denied(review: Review) -> set[str]:
    return {
        proposal.title
        for proposal in review.proposals
        if review.decision(proposal.id).answer is Answer.DENY
    }


def test_with_a_program_all_that_it_alone_wanted_is_denied_in_one_step() -> None:
    review, ids = _review(SUBMODULES, *ITS, OWN)
    git = "run git submodule update and 1 program that it starts"
    review.allow(ids["run curl"])

    review.deny(ids[git])

    assert _denied(review) == {git, "run curl", "read $WORKSPACE/.git/config"}
    grants = review.grants(EMPTY)["a"]
    assert grants.denials == {Rule(Kind.EXEC, "git")}
    assert not grants.rules
    review.undo()
    assert _denied(review) == set()
    assert review.decision(ids["run curl"]).answer is Answer.ALLOW


def test_what_went_with_a_program_is_asked_again_if_that_is_not_denied_any_more() -> None:
    review, ids = _review(SUBMODULES, *ITS)
    git = "run git submodule update and 1 program that it starts"
    review.deny(ids[git])

    review.allow(ids[git])

    assert _denied(review) == set()
    assert review.decision(ids["run curl"]).answer is Answer.UNDECIDED


def test_a_version_is_reviewed_once_its_programs_are_denied() -> None:
    review, ids = _review(SUBMODULES, *ITS)
    review.deny(ids["run git submodule update and 1 program that it starts"])

    assert review.counts().open == 0
    assert review.grants(EMPTY)["a"].reviewed == {"1.0.0"}


def test_secrets_that_a_denied_program_reached_for_stay_denied_by_name() -> None:
    key = _access(Kind.READ, "$HOME/.ssh/id_rsa", "git", sensitive="ssh keys")
    review, ids = _review(SUBMODULES, key)
    review.deny(ids["run git submodule update"])

    assert Rule(Kind.READ, key.target) in review.grants(EMPTY)["a"].denials


def test_what_only_denied_programs_wanted_is_asked_about_no_more() -> None:
    denial = Rule(Kind.EXEC, "git")
    both = _access(Kind.READ, "$WORKSPACE/y", "git", "sh")
    key = _access(Kind.READ, "$HOME/.ssh/id_rsa", "git", sensitive="ssh keys")

    left = undecided([SUBMODULES, *ITS, OWN, both, key], (), [denial])

    assert left == [OWN, both, key]


@pytest.mark.parametrize("dependent", Answer)
@pytest.mark.parametrize("before", Answer)
@pytest.mark.parametrize("after", Answer)
def test_only_a_denial_and_its_end_are_passed_on(
    before: Answer, after: Answer, dependent: Answer
) -> None:
    along = answer_along(before, after, dependent)

    if Answer.DENY not in (before, after) or before is after:
        assert along is dependent
    assert along is not Answer.ALLOW or dependent is Answer.ALLOW


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9), st.sampled_from(["allow", "deny", "later", "clear", "undo", "redo"])
        ),
        max_size=20,
    )
)
def test_whatever_was_answered_nothing_of_a_denied_program_is_granted(
    steps: list[tuple[int, str]],
) -> None:
    review, _ = _review(SUBMODULES, *ITS, OWN)
    proposals: tuple[Proposal, ...] = review.proposals
    for index, step in steps:
        each = proposals[index % len(proposals)]
        if step in ("undo", "redo"):
            getattr(review, step)()
        elif step != "allow" or not each.locked:
            getattr(review, step)(each.id)
    (git,) = (each for each in proposals if "git" in each.runs)
    if review.decision(git.id).answer is Answer.DENY:
        granted = review.grants(EMPTY).get("a")
        rules = granted.rules if granted else frozenset()
        assert {rule.pattern for rule in rules} <= {OWN.target}
