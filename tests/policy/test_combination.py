"""Several runs as one: what they add up to, and where they differ."""

from __future__ import annotations

from dataclasses import replace

from buildperm.policy.access import Access, Outcome
from buildperm.policy.combination import combine, stable
from buildperm.policy.kinds import Kind
from buildperm.policy.sought_secrets import EMPTY_HOME


def ran(name: str, outcome: Outcome = Outcome.DONE, unstable: str = "") -> Access:
    chains = (("build script",),)
    return Access(Kind.EXEC, name, outcome, 1, 0, 0, chains, unstable=unstable)


def test_what_not_every_run_did_says_in_how_many_it_was_seen() -> None:
    both, once, twice = ran("cc"), ran("perl"), ran("git")

    found = stable([[both, once], [both, twice], [twice, both]])

    assert {access.target: access.unstable for access in found} == {
        "cc": "",
        "perl": "in 1 of 3 runs",
        "git": "in 2 of 3 runs",
    }
    assert {access.target: access.count for access in found} == {"cc": 3, "perl": 1, "git": 2}


def test_an_outcome_that_varies_is_not_unstable_and_the_graver_one_stands() -> None:
    (found,) = stable([[ran("cc")], [ran("cc", Outcome.REFUSED)]])

    assert found.outcome is Outcome.REFUSED
    assert not found.unstable


def test_only_what_no_other_run_did_in_earnest_counts_as_let_through_while_learning() -> None:
    learned = replace(ran("cc"), is_let_through=True)

    for other, expected in (
        (learned, True),
        (ran("cc", Outcome.FAILED), True),
        (ran("cc"), False),
        (ran("cc", Outcome.REFUSED), False),
    ):
        for runs in ([[learned], [other]], [[other], [learned]]):
            (found,) = combine(runs)
            assert found.is_let_through is expected


def test_only_what_no_run_has_opened_counts_as_a_look() -> None:
    opened = Access(Kind.READ, "/x", Outcome.DONE, 1, 0, 0, ())
    look = replace(opened, is_look=True)
    in_vain = replace(opened, outcome=Outcome.FAILED)

    for one, other, expected in (
        (look, look, True),
        (look, opened, False),
        (look, in_vain, True),
        (opened, opened, False),
    ):
        for runs in ([[one], [other]], [[other], [one]]):
            [found] = combine(runs)
            assert found.is_answered_look is expected


def test_one_run_or_none_agrees_with_itself() -> None:
    assert stable([[ran("cc"), ran("ld")]]) == [ran("cc"), ran("ld")]
    assert stable([]) == []
    assert stable([[], []]) == []


def test_a_run_that_did_nothing_counts() -> None:
    assert [access.unstable for access in stable([[ran("cc")], []])] == ["in 1 of 2 runs"]


def test_combining_contexts_keeps_what_one_of_them_was_not_sure_of() -> None:
    sure, unsure = ran("cc"), ran("cc", unstable="in 2 of 3 runs")

    for runs in ([[sure], [unsure]], [[unsure], [sure]]):
        (found,) = combine(runs)
        assert found.unstable == "in 2 of 3 runs"
        assert found.count == 2


def test_a_look_into_the_empty_home_is_told_whichever_run_it_was_in() -> None:
    held = "ssh keys and known hosts"
    probe = Access(Kind.READ, "$HOME/.ssh/x", Outcome.FAILED, 1, 0, 0, (), sensitive=held)
    look = replace(probe, sensitive=f"{held}; {EMPTY_HOME}")
    refused = replace(probe, outcome=Outcome.REFUSED)

    for runs in ([[probe], [look]], [[look], [probe]]):
        (found,) = combine(runs)
        assert found.saw_empty_home
    for runs in ([[refused], [look]], [[look], [refused]]):
        (found,) = combine(runs)
        assert (found.outcome, found.sensitive) == (Outcome.REFUSED, held)
