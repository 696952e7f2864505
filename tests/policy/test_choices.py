"""Ways to allow what was seen: short, no wider than they say, and nothing sensitive inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy import editor
from buildperm.policy.access import Access, Outcome
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.presets import expand
from buildperm.policy.proposal import Proposal
from buildperm.policy.proposals import propose
from buildperm.policy.sensitivity import why_sensitive
from buildperm.rules.pattern import matches

LINES_MOST = 12
TOOLS = "arch awk cat cmp comm cp cut date diff dirname du env expr find fold grep head id ln ls m4"
FOLDERS = ("docs", "schema/v1", "presets", "data/a b", "assets/icons/small", "config", "proto/x")
KEYS = (
    "$WORKSPACE/.env",
    "$WORKSPACE/docs/id_rsa",
    "$WORKSPACE/config/.netrc",
    "$HOME/.ssh/id_rsa",
)


def seen(kind: Kind, target: str, *, cause: str = "") -> Access:
    chain = ("build script", cause) if cause else ("build script",)
    sensitive = why_sensitive(kind, target)
    outcome = Outcome.REFUSED if sensitive else Outcome.DONE
    causes = (cause,)
    return Access(kind, target, outcome, 1, 0, 0, (chain,), "", sensitive, causes=causes)


def granted(proposals: Iterable[Proposal]) -> CrateGrants:
    """Return what stands in Cargo.toml once all that can be allowed is, as it is suggested."""
    taken = [each.suggestion for each in proposals if not each.locked]
    return CrateGrants(
        "crate",
        reviewed=frozenset(["1.0.0"]),
        presets=frozenset(each.preset for each in taken if each.preset),
        rules=frozenset(rule for each in taken for rule in each.rules),
    )


def table(grants: CrateGrants) -> list[str]:
    """Return the lines of the crate's table."""
    text = editor.with_grants(b"[workspace]\n", grants.key, grants).decode()
    return text.partition("crates.crate]\n")[2].splitlines()


def of_many(number: int, kind: Kind, form: str) -> list[Access]:
    return [seen(kind, form.format(each, letter=chr(97 + each % 26))) for each in range(number)]


CHATTY = {
    "numbered files": of_many(500, Kind.READ, "$WORKSPACE/docs/presets/p{}.toml"),
    "files of many folders": of_many(300, Kind.READ, "$WORKSPACE/docs/{letter}/{}/file.md"),
    "folders of the root": of_many(60, Kind.READ, "$WORKSPACE/member{}/Cargo.toml"),
    "files of each kind": of_many(60, Kind.READ, "$WORKSPACE/fixtures/x.{letter}{}"),
    "variables": of_many(60, Kind.ENV, "SETTING{}"),
    "variables of a library": of_many(60, Kind.ENV, "LIB_SETTING_{letter}_{}"),
    "own programs": of_many(40, Kind.EXEC, "$WORKSPACE/bin/tool{}"),
    "programs of the system": [seen(Kind.EXEC, name) for name in TOOLS.split()],
    "own programs that read themselves": [
        seen(Kind.READ, f"$WORKSPACE/bin/t{n}", cause=f"$WORKSPACE/bin/t{n}") for n in range(40)
    ],
    "files that are made": of_many(80, Kind.WRITE, "$WORKSPACE/gen/{}.txt"),
}


@pytest.mark.parametrize("accesses", CHATTY.values(), ids=CHATTY.keys())
def test_what_a_chatty_script_is_granted_is_short(accesses: Sequence[Access]) -> None:
    proposals = propose("crate", "1.0.0", accesses)

    grants = granted(proposals)
    assert len(table(grants)) <= LINES_MOST
    rules = grants.rules | expand(grants.presets)
    for access in accesses:
        assert any(
            rule.kind is access.kind and matches(rule.pattern, access.target) for rule in rules
        )


def test_what_was_read_by_few_names_stays_exact() -> None:
    accesses = of_many(5, Kind.READ, "$WORKSPACE/docs/{}.toml")

    grants = granted(propose("crate", "1.0.0", accesses))

    assert {rule.pattern for rule in grants.rules} == {access.target for access in accesses}


NAMES = st.builds(
    "{}{}{}".format,
    st.sampled_from(("f", "preset_", "Ä", "x y", "v1-")),
    st.integers(0, 400),
    st.sampled_from((".toml", ".json", ".md", "", ".tar.gz")),
)
READS = st.builds(
    lambda folder, name: seen(Kind.READ, f"$WORKSPACE/{folder}/{name}"),
    st.sampled_from(FOLDERS),
    NAMES,
)
ACCESSES = st.lists(
    st.one_of(
        READS,
        READS,
        st.sampled_from(KEYS).map(lambda key: seen(Kind.READ, key)),
        st.builds(lambda n: seen(Kind.ENV, f"OPTION_{n}"), st.integers(0, 60)),
        st.sampled_from(TOOLS.split()).map(lambda name: seen(Kind.EXEC, name)),
        st.builds(lambda n: seen(Kind.EXEC, f"$WORKSPACE/bin/tool{n}"), st.integers(0, 60)),
    ),
    max_size=120,
    unique_by=lambda access: (access.kind, access.target),
)


@given(ACCESSES)
def test_nothing_that_is_suggested_is_long_or_opens_what_is_sensitive(
    accesses: Sequence[Access],
) -> None:
    proposals = propose("crate", "1.0.0", accesses)

    grants = granted(proposals)
    for kind in (Kind.READ, Kind.EXEC, Kind.ENV):
        rules = frozenset(rule for rule in grants.rules if rule.kind is kind)
        assert len(table(CrateGrants("crate", rules=rules))) <= LINES_MOST
    for key in KEYS:
        assert not any(rule.kind is Kind.READ and rule.pattern == key for rule in grants.rules)
    for proposal in proposals:
        exact = {access.target for access in proposal.evidence}
        for rule in proposal.suggestion.rules:
            # What is wider than what was seen is said.
            assert rule.pattern in exact or proposal.suggestion.widening or proposal.locked
