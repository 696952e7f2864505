"""The last day of grants: how it is written and read, and what holds after it."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.errors import BuildpermError
from buildperm.policy import expiry, manifest
from buildperm.policy.compilation import effective, secret_variables
from buildperm.policy.editor import with_grants
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule

RULES = frozenset({Rule(Kind.EXEC, "perl"), Rule(Kind.READ, "/etc/ssl/*")})
DENIED = frozenset({Rule(Kind.ENV, "GITHUB_TOKEN")})


@given(st.dates())
def test_what_is_written_is_read_back(day: date) -> None:
    assert expiry.parse(str(day)) == day


@given(st.text(st.characters(codec="utf-8"), max_size=12))
def test_nothing_else_is_a_day(text: str) -> None:
    try:
        day = expiry.parse(text)
    except ValueError:
        return
    assert str(day) == text


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(-400, 400))
def test_after_the_last_day_nothing_is_granted_and_denials_stay(day: date, later: int) -> None:
    on = day + timedelta(days=later)
    grants = CrateGrants(
        "x", frozenset({"1.0.0"}), frozenset({"cc"}), RULES, DENIED, "why", expires=day
    )

    held = effective(grants, "1.0.0", on)

    assert held.denials == DENIED
    if later > 0:
        assert held.rules == frozenset()
        assert {each.rule for each in held.withheld} >= RULES
        assert {each.why for each in held.withheld} == {f"the grants ended on {day}"}
    else:
        assert held.rules >= RULES
        assert held.withheld == ()


def test_today_counts_where_no_day_is_given() -> None:
    named = Rule(Kind.ENV, "TOKEN")
    ended = CrateGrants(
        "x",
        frozenset({"1.0.0"}),
        rules=RULES | {named},
        reason="why",
        expires=expiry.today() - timedelta(days=2),
    )

    assert effective(ended, "1.0.0").rules == frozenset()
    assert secret_variables(ended, "1.0.0") == []


@given(st.none() | st.dates(), st.none() | st.dates())
def test_the_editor_sets_changes_and_removes_it(first: date | None, last: date | None) -> None:
    raw = b"[package] # mine\nname = 'x'\n"
    there = with_grants(raw, "x", CrateGrants("x", rules=RULES, expires=first))
    after = with_grants(there, "x", CrateGrants("x", rules=RULES, expires=last))

    assert manifest.read(after, Path("Cargo.toml")).crates["x"].expires == last
    assert (f'expires = "{last}"'.encode() in after) is (last is not None)
    assert after.startswith(raw)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ('"31.1.2027"', "Write the last day"),
        ('"2027-02-30"', "Write the last day"),
        ('"tomorrow"', "Write the last day"),
        ("2027-01-31", 'expires = "2027-01-31"'),
        ("2027-01-31T08:00:00", 'expires = "2027-01-31"'),
        ("7", "quotation marks"),
        ('""', "Write the last day"),
    ],
)
def test_what_is_no_day_is_refused_with_its_line_and_a_way_out(said: str, hint: str) -> None:
    raw = f"[package.metadata.buildperm]\nversion = 1\ncrates.x.expires = {said}\n"

    with pytest.raises(BuildpermError, match=r"Cargo\.toml:3: .*expires: ") as caught:
        manifest.read(raw.encode(), Path("Cargo.toml"))
    assert hint in caught.value.hint
