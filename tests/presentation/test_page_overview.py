"""What is said of all crates together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.access import Access, Outcome
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.role import SubjectKind
from buildperm.policy.rule import Rule
from buildperm.policy.sensitivity import why_sensitive
from buildperm.presentation.crate_account import CrateAccount
from buildperm.presentation.page_overview import key_figures, overall_verdict, touched_targets
from buildperm.report.html_page import CrateChapter, Severity
from tests.report.page_strategies import page

KEY = "$HOME/.ssh/id_ed25519"
HOST = "10.0.0.1:80"


def account(*targets: str, granted: bool = False, denied: bool = False) -> CrateAccount:
    kinds = {KEY: Kind.READ, HOST: Kind.NET}
    accesses = [
        Access(
            kind := kinds.get(target, Kind.EXEC),
            target,
            Outcome.REFUSED,
            *(1, 0, 0, ()),
            sensitive=why_sensitive(kind, target),
        )
        for target in targets
    ]
    rules = frozenset(Rule(each.kind, each.target) for each in accesses)
    grants = CrateGrants(
        "a", rules=rules if granted else frozenset(), denials=rules if denied else frozenset()
    )
    return CrateAccount.of(accesses, grants, "1.0.0", (SubjectKind.SCRIPT,))


def chapters(accounts: list[CrateAccount]) -> list[CrateChapter]:
    whole = page(["x"], 1).chapters[0]
    return [
        replace(
            whole,
            anchor=f"crate-{number}",
            name=f"c{number}",
            version="1.0.0",
            severity=each.severity,
            verdict=each.verdict(),
        )
        for number, each in enumerate(accounts)
    ]


@pytest.mark.parametrize(
    ("accounts", "begins"),
    [
        ([account("cc", granted=True)], "Nothing is open"),
        ([account("perl", denied=True), account()], "Everything is decided"),
        ([account("cc"), account()], "1 access of 1 crate is undecided"),
        ([account("cc", "ar"), account("cc")], "3 accesses of 2 crates are undecided"),
        ([account(KEY, HOST)], "Looks like theft: c0 1.0.0 reaches for secrets"),
        ([account(KEY, HOST), account(KEY, HOST)], "Looks like theft: c0 1.0.0 and 1 other crate"),
    ],
)
def test_the_verdict_is_about_the_worst(accounts: list[CrateAccount], begins: str) -> None:
    assert overall_verdict(chapters(accounts), accounts).startswith(begins)


def test_what_is_shared_says_by_whom() -> None:
    accounts = [account("cc", granted=True), account("cc", "perl"), account("cc", granted=True)]

    touched, left_out = touched_targets(chapters(accounts), accounts)

    assert [(each.target, [title for _, title in each.crates]) for each in touched] == [
        ("perl", ["c1 1.0.0"]),
        ("cc", ["c0 1.0.0", "c1 1.0.0", "c2 1.0.0"]),
    ]
    assert touched[0].severity is Severity.HIGH
    assert left_out == 0


@given(st.lists(st.lists(st.sampled_from(("cc", "perl", KEY, HOST)), unique=True), min_size=1))
def test_the_numbers_add_up(targets: list[list[str]]) -> None:
    accounts = [
        account(*each, granted=number % 2 == 0, denied=number % 3 == 0)
        for number, each in enumerate(targets)
    ]

    ran, beyond, *told = [int(each.number) for each in key_figures(accounts)]
    touched, left_out = touched_targets(chapters(accounts), accounts)

    assert ran == len(targets)
    assert beyond == sum(map(bool, targets))
    assert sum(told) == sum(map(len, targets))
    assert len(touched) + left_out == len({each for group in targets for each in group})
