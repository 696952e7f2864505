"""Whose failure it is where Cargo fails, in words and in a document."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from buildperm.report import build_failure
from buildperm.report.build_failure import (
    MAY_BE_WHY,
    BrokenPackage,
    BrokenStep,
    BuildFailure,
    HabitRefusal,
)
from tests.cli.pending_list import PENDING_SCHEMA

OWN = BrokenPackage("zip-sys", "1.0.0", BrokenStep.RUN_SCRIPT, was_refused=False)
HABITS = tuple(HabitRefusal("zip-sys", f"read:/dev/{name}") for name in ("a", "b", "c", "tty"))
SYSTEM = ("exec /opt/tool (by its permissions, or a read-only disk)",)


def _told(package: BrokenPackage) -> str:
    failure = BuildFailure(101, (package,), ())
    return "\n".join(build_failure.lines(failure, 101, "buildperm ci"))


def test_a_package_that_was_refused_nothing_fails_of_its_own() -> None:
    assert "That is its own failure: buildperm refused it nothing." in _told(OWN)


def test_refusals_that_nobody_is_asked_about_are_not_called_nothing() -> None:
    told = _told(replace(OWN, habits=HABITS))

    assert "its own failure" not in told
    assert "refused it nothing" not in told
    assert "`read:/dev/a`, `read:/dev/b`, `read:/dev/c` and 1 more" in told
    assert "`buildperm why zip-sys read:/dev/a` says what can be done" in told


def test_a_habit_of_a_script_that_went_on_is_not_called_the_cause_of_an_error_of_rustc() -> None:
    told = {step: replace(OWN, habits=HABITS, step=step).why for step in BrokenStep}

    assert "If it does not do without, that is why" in told[BrokenStep.RUN_SCRIPT]
    for step in (BrokenStep.COMPILE, BrokenStep.COMPILE_SCRIPT):
        assert "that is why" not in told[step]
        assert "If the messages of Cargo do not explain it, `buildperm why zip-sys" in told[step]


def test_what_the_system_refuses_is_no_matter_of_grants() -> None:
    told = _told(replace(OWN, by_system=SYSTEM))

    assert f"buildperm refused it nothing; the system itself did: {SYSTEM[0]}." in told
    assert "No grant changes that." in told
    assert "its own failure" not in told


@pytest.mark.parametrize("habits", [(), HABITS])
def test_what_is_asked_about_goes_before_all_the_rest(habits: tuple[HabitRefusal, ...]) -> None:
    package = replace(OWN, was_refused=True, habits=habits, by_system=SYSTEM)

    assert package.why == MAY_BE_WHY


def test_where_no_package_is_known_the_refusals_of_all_are_told() -> None:
    nothing = BuildFailure(101, (), ())

    assert nothing.why == "buildperm refused nothing."
    assert replace(nothing, habits=HABITS).why.startswith("buildperm refused only what programs")
    assert replace(nothing, habits=HABITS, was_refused=True).why == MAY_BE_WHY


@pytest.mark.parametrize("package", [OWN, replace(OWN, habits=HABITS, by_system=SYSTEM)])
def test_the_document_follows_its_schema(package: BrokenPackage) -> None:
    document = build_failure.document(BuildFailure(101, (package,), ()))
    schema = {"$ref": "#/$defs/build_failure", "$defs": PENDING_SCHEMA["$defs"]}

    jsonschema.Draft202012Validator(schema).validate(document)
    packages: Any = document["packages"]
    (told,) = packages
    assert ("habits" in told) is bool(package.habits)
    assert ("refused_by_system" in told) is bool(package.by_system)


@pytest.mark.parametrize(
    ("number", "last"), [(21, "  and 1 more package"), (25, "  and 5 more packages")]
)
def test_what_is_too_much_for_a_list_is_counted(number: int, last: str) -> None:
    packages = tuple(replace(OWN, crate=f"c{each:02}") for each in range(number))

    told = list(build_failure.lines(BuildFailure(101, packages, ()), 101, "buildperm ci"))

    assert last in told
