"""Rules that cannot be written in one workspace are not offered in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildperm.errors import BuildpermError
from buildperm.policy import closed_rules
from buildperm.policy.access import Access, Outcome
from buildperm.policy.decision import Answer
from buildperm.policy.grants import Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.review_state import Review
from buildperm.policy.rule import Rule

FOO = Rule(Kind.WRITE, "$TARGET_DIR/foo/**")
BAR = Rule(Kind.WRITE, "$TARGET_DIR/bar/**")
EMPTY = Policy("portable", {}, Path("Cargo.toml"))


def _closed(rule: Rule) -> str:
    return "Cargo builds there" if "/foo/" in rule.pattern else ""


def _asked(name: str, *rules: Rule) -> Proposal:
    choices = tuple(Choice(str(rule), (rule,)) for rule in rules)
    target = f"$TARGET_DIR/{name}/x"
    seen = Access(Kind.WRITE, target, Outcome.REFUSED, 1, 0, 1, (("build-script",),), target)
    return Proposal(name, "x", "1.0.0", f"write {name}", choices, Risk.MEDIUM, ("n",), (seen,))


def test_what_only_closed_rules_allow_is_locked_and_all_else_is_accepted() -> None:
    review = Review([_asked("foo", FOO), _asked("bar", BAR)], closed=_closed)

    review.accept_up_to(Risk.MEDIUM)

    assert review.decision("foo").answer is Answer.UNDECIDED
    assert review.decision("bar").answer is Answer.ALLOW
    assert review.grants(EMPTY)["x"].rules == {BAR}
    with pytest.raises(BuildpermError, match="Cargo builds there"):
        review.allow("foo")
    assert review.deny("foo")


def test_of_several_ways_the_open_ones_are_left() -> None:
    for rules, suggested in (((FOO, BAR), 1), ((BAR, FOO), 1), ((BAR, FOO), 0)):
        asked = _asked("x", *rules)
        found = closed_rules.locked(
            Proposal(
                *(asked.id, asked.crate, asked.version, asked.title, asked.choices, asked.risk),
                *(asked.notes, asked.evidence, "", Reason.ASKED, suggested),
            ),
            _closed,
        )
        assert [choice.rules for choice in found.choices] == [(BAR,)]
        assert found.suggested == 0
        assert not found.locked


def test_nobody_writes_one_by_hand_and_what_comes_later_is_judged_too() -> None:
    review = Review([_asked("bar", BAR)], closed=_closed)

    with pytest.raises(BuildpermError, match="Cargo builds there"):
        review.edit("bar", [FOO])
    review.add([_asked("foo", FOO)])

    assert review.proposals[0].choices == _asked("bar", BAR).choices
    assert "Cargo builds there" in review.proposals[1].locked
