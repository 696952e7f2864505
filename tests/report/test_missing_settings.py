"""What was looked for in the empty home folder: settings are told, habits are not."""

from __future__ import annotations

import pytest

from buildperm.policy.access import Outcome
from buildperm.policy.kinds import Kind
from buildperm.report.missing_settings import looked_for, note
from tests.report.reports import access


@pytest.mark.parametrize(
    ("below", "outcome", "is_told"),
    [
        (".config/pip/pip.conf", Outcome.FAILED, True),
        (".npmrc", Outcome.FAILED, True),
        (".m2/settings.xml", Outcome.FAILED, True),
        (".terminfo/d/dumb", Outcome.FAILED, False),
        (".config/git/ignore", Outcome.FAILED, False),
        (".config/made", Outcome.DONE, False),
    ],
)
def test_settings_are_told_and_habits_are_not(below: str, outcome: Outcome, is_told: bool) -> None:
    seen = [access(Kind.READ, f"$TMP/home/{below}", outcome)]

    assert looked_for(seen) == ([f"~/{below}"] if is_told else [])
    assert bool(note("a 1.0.0", seen)) is is_told


def test_what_a_program_makes_for_itself_was_not_missing() -> None:
    seen = [
        access(Kind.READ, "$TMP/home/.tool/state", Outcome.FAILED),
        access(Kind.WRITE, "$TMP/home/.tool/state", Outcome.DONE),
        access(Kind.READ, "$TMP/tmp/x", Outcome.FAILED),
        access(Kind.READ, "/home/me/.npmrc", Outcome.FAILED),
    ]

    assert looked_for(seen) == []


def test_many_are_counted() -> None:
    seen = [access(Kind.READ, f"$TMP/home/.rc{n}", Outcome.FAILED) for n in range(9)]

    assert note("a 1.0.0", seen) == (
        "note: a 1.0.0 looked for ~/.rc0, ~/.rc1, ~/.rc2 and 6 more and saw an empty home folder: "
        "without buildperm it may do something else"
    )
