"""Surplus: what a choice adds is counted, keys apart, and never less for a wider choice."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy import surplus
from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Risk
from buildperm.policy.proposals import propose
from buildperm.policy.rule import Rule
from buildperm.policy.surplus import Surplus


def _reads(*targets: str) -> Proposal:
    seen = [Access(Kind.READ, target, Outcome.DONE, 1, 0, 0, ()) for target in targets]
    (proposal,) = propose("a", "1.0.0", seen)
    return proposal


def test_each_step_says_what_it_adds() -> None:
    proposal = _reads("$HOME/x/lib/a.py", "$HOME/x/lib/b.py")
    existing = [
        "$HOME/x/lib/a.py",
        "$HOME/x/lib/c.py",
        "$HOME/x/lib/c.txt",
        "$HOME/x/lib/deep/d.py",
        "$HOME/x/id_rsa",
    ]

    counted = surplus.of_choices(proposal, existing, is_complete=True)

    assert [str(each) for each in counted[:5]] == [
        "+0 existing files",
        "+1 existing file nobody asked for",
        "+2 existing files nobody asked for",
        "+3 existing files nobody asked for",
        "+4 existing files nobody asked for, 1 of them a key, which stays closed",
    ]


@pytest.mark.parametrize(
    ("counted", "told"),
    [
        (Surplus(37, 2, True), "+37 existing files nobody asked for, 2 of them keys, which stay"),
        (Surplus(20_000, 0, False), "+at least 20,000 existing files nobody asked for"),
        (Surplus(0, 0, False), "too many files to count"),
    ],
)
def test_a_count_is_told_in_a_sentence(counted: Surplus, told: str) -> None:
    assert str(counted).startswith(told)


def test_only_folders_behind_wildcards_are_looked_through_each_once() -> None:
    rules = [
        Rule(Kind.READ, "$WORKSPACE/a/*.c"),
        Rule(Kind.READ, "$WORKSPACE/a/b/**"),
        Rule(Kind.READ, "$WORKSPACE/exact"),
        Rule(Kind.ENV, "FOO_*"),
    ]

    assert list(surplus.bases([Choice("these", tuple(rules))])) == ["$WORKSPACE/a"]


def test_what_is_no_file_is_not_counted() -> None:
    (proposal,) = propose("a", "1", [Access(Kind.ENV, "FOO_A", Outcome.DONE, 1, 0, 0, ())])

    assert set(surplus.of_choices(proposal, [], is_complete=True)) == {None}


files = st.lists(st.sampled_from(["a", "b.c", "c.c", "id_rsa", "d"]), min_size=1, max_size=4).map(
    lambda parts: "/".join(("$HOME/x", *parts))
)


@given(st.frozensets(files, min_size=1, max_size=6), st.frozensets(files, max_size=20))
def test_a_wider_choice_adds_no_less(seen: frozenset[str], existing: frozenset[str]) -> None:
    proposal = _reads(*seen)

    counted = surplus.of_choices(proposal, sorted(existing), is_complete=True)

    assert len(counted) == len(proposal.choices)
    for choice, each in zip(proposal.choices, counted, strict=True):
        assert (each is None) == bool(choice.locked)
    open_ = [each for each in counted if each is not None]
    assert all(0 <= each.keys <= each.files for each in open_)
    for narrow, wide in pairwise(open_):
        assert narrow.files <= wide.files


@pytest.mark.parametrize(
    ("found", "short"),
    [
        (Surplus(0, 0, True), ""),
        (Surplus(0, 0, False), "+ many files"),
        (Surplus(1, 1, True), "+1 file, 1 key closed"),
        (Surplus(1_200, 2, True), "+1,200 files, 2 keys closed"),
        (Surplus(20_000, 0, False), "+20,000 files or more"),
    ],
)
def test_beside_a_rule_it_is_told_in_short(found: Surplus, short: str) -> None:
    assert found.short == short


def test_what_cannot_be_allowed_is_not_counted() -> None:
    open_, locked = (
        Choice(title, (Rule(Kind.READ, pattern),), locked=locked)
        for title, pattern, locked in (
            ("below", "$WORKSPACE/a/*", ""),
            ("everything", "$WORKSPACE/**", "It is too much."),
        )
    )
    asked = Proposal("0" * 12, "a", "1.0.0", "read", (open_, locked), Risk.LOW, ("x",), ())

    counted = surplus.of_choices(asked, ["$WORKSPACE/a/x"], is_complete=True)

    assert [each and each.files for each in counted] == [1, None]
