"""Ages of versions, as Cargo.toml has them, and what is said of a version that is too young."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.errors import BuildpermError
from buildperm.policy import manifest
from buildperm.policy.compilation import effective, secret_variables
from buildperm.policy.cooldown import LONGEST, Youth, parse
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from buildperm.policy.widening import wider

PATH = Path("/ws/Cargo.toml")
DAY = 86400


def table(said: str, crates: str = "") -> bytes:
    return f"[workspace.metadata.buildperm]\nversion = 1\n{said}\n{crates}".encode()


GIVEN = '[workspace.metadata.buildperm.crates.x]\nexec = ["perl"]\nreason = "needed at once"\n'


@pytest.mark.parametrize(
    ("text", "seconds"), [("7d", 7 * DAY), ("36h", 36 * 3600), ("2w", 14 * DAY), ("0d", 0)]
)
def test_an_age_is_hours_days_or_weeks(text: str, seconds: int) -> None:
    assert parse(text) == seconds
    assert manifest.read(table(f'min-age = "{text}"'), PATH).min_age == seconds


@pytest.mark.parametrize(
    "text", ["", "7", "d", "-1d", "1.5d", "07d", "7 d", "7D", "99999w", "\u0667d"]
)
def test_nothing_else_is_an_age(text: str) -> None:
    with pytest.raises(BuildpermError, match=r"Cargo\.toml:3: .*min-age"):
        manifest.read(table(f'min-age = "{text}"'), PATH)


@given(st.text(max_size=8))
def test_whatever_is_read_is_within_bounds(text: str) -> None:
    try:
        assert 0 <= parse(text) <= LONGEST
    except ValueError:
        pass


def test_without_the_key_no_version_is_too_young() -> None:
    policy = manifest.read(table(""), PATH)

    assert (policy.min_age, policy.young) == (0, ())


def test_an_exception_is_one_version_of_a_crate_that_gives_a_reason() -> None:
    read = manifest.read(table('min-age = "7d"\nyoung = ["x@1.2.3"]', GIVEN), PATH)

    assert read.young == ("x@1.2.3",)


@pytest.mark.parametrize(
    ("key", "crates", "why"),
    [
        ("x@1.2.3", "", "gives no reason"),
        ("x@1.2.3", GIVEN.replace('reason = "needed at once"', ""), "gives no reason"),
        ("x@1.2.3", GIVEN.replace("crates.x", 'crates."x@1.3"'), "gives no reason"),
        ("y@1.2.3", GIVEN, "gives no reason"),
        ("git+https://h/x#x@1.2.3", GIVEN, "gives no reason"),
        ("x", GIVEN, "names no single version"),
        ("x@1.2", GIVEN, "names no single version"),
        ("x@*", GIVEN, "not a package"),
    ],
)
def test_no_other_exception_is_taken(key: str, crates: str, why: str) -> None:
    with pytest.raises(BuildpermError, match=why):
        manifest.read(table(f'min-age = "7d"\nyoung = ["{key}"]', crates), PATH)


def test_what_is_too_young_has_nothing_of_its_grants_and_keeps_its_denials() -> None:
    denied = frozenset({Rule(Kind.ENV, "CI")})
    grants = CrateGrants(
        "x",
        frozenset({"1.0.0"}),
        frozenset({"cc"}),
        frozenset({Rule(Kind.EXEC, "perl"), Rule(Kind.ENV, "MY_TOKEN")}),
        denied,
        "why",
    )
    assert effective(grants, "1.0.0").rules
    assert secret_variables(grants, "1.0.0") == ["MY_TOKEN"]

    youth = Youth("x", "1.0.0", 0, 7 * DAY, is_published=True)
    young = replace(grants, young=youth.clause)

    held = effective(young, "1.0.0")
    assert (held.rules, held.denials) == (frozenset(), denied)
    assert {each.why for each in held.withheld} == {youth.clause}
    assert secret_variables(young, "1.0.0") == []


def test_one_line_says_how_old_it_is_until_when_it_is_held_and_what_to_do() -> None:
    youth = Youth("x", "1.2.3", 10 * DAY, 17 * DAY, is_published=True)

    said = youth.sentence(12 * DAY)

    assert said.startswith("x 1.2.3 is young (published 2 days ago): held to the baseline until ")
    assert "1970-01-18 00:00 UTC" in said
    assert 'young = ["x@1.2.3"]' in said
    assert "\n" not in said


def test_a_clock_that_was_set_back_is_told() -> None:
    youth = Youth("x", "1.2.3", 10 * DAY, 17 * DAY, is_published=False)

    assert "first seen here in the future, by the clock" in youth.sentence(9 * DAY)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('min-age = "7d"', 'min-age = "2d"', ["min-age"]),
        ('min-age = "7d"', "", ["min-age"]),
        ('min-age = "2d"', 'min-age = "7d"', []),
        ("", 'min-age = "7d"', []),
        ('min-age = "7d"', 'min-age = "7d"\nyoung = ["x@1.2.3"]', ["young x@1.2.3"]),
        ('min-age = "7d"\nyoung = ["x@1.2.3"]', 'min-age = "7d"', []),
        ("", 'min-age = "7d"\nyoung = ["x@1.2.3"]', []),
    ],
)
def test_a_lower_age_and_an_exception_are_wider(before: str, after: str, told: list[str]) -> None:
    old, new = (manifest.read(table(each, GIVEN), PATH) for each in (before, after))

    assert [each.item for each in wider(old, new, [("x", "1.2.3")], "check")] == told
