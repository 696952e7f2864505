"""What one crate is offered is short as a whole, and no riskier than it would be."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy import editor
from buildperm.policy.access import Access, Outcome
from buildperm.policy.brevity import LINES_MOST, briefer
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Proposal
from buildperm.policy.proposals import propose
from buildperm.policy.risk import assess_rule
from buildperm.policy.undecided_accesses import undecided
from buildperm.rules import sensitive


def seen(kind: Kind, target: str) -> Access:
    outcome = Outcome.REFUSED if kind in (Kind.WRITE, Kind.NET) else Outcome.DONE
    return Access(kind, target, outcome, 1, 0, 0, (("build script",),), "", causes=("",))


def lines_of(proposals: Sequence[Proposal]) -> int:
    """Count the lines that Cargo.toml has of a crate once everything is allowed as suggested."""
    taken = [each.suggestion for each in proposals if not each.locked]
    grants = CrateGrants(
        "crate",
        reviewed=frozenset(["1.0.0"]),
        presets=frozenset(each.preset for each in taken if each.preset),
        rules=frozenset(rule for each in taken for rule in each.rules),
    )
    text = editor.with_grants(b"[workspace]\n", grants.key, grants).decode()
    return sum(bool(line.strip()) for line in text.partition("crates.crate]\n")[2].splitlines()) + 1


def is_told(proposals: Sequence[Proposal]) -> bool:
    return any("lines in Cargo.toml" in note for each in proposals for note in each.notes)


FOLDERS = ("docs", "schema/v1/definitions", "data/a/b/c", "assets/icons/small", "proto/google/rpc")
READS = [
    seen(Kind.READ, f"$WORKSPACE/{folder}/a_rather_long_name_of_a_file_{number}.proto")
    for folder in FOLDERS
    for number in range(6)
]
VARIABLES = [
    seen(Kind.ENV, f"{library}_SETTING_OF_SOME_LENGTH_{letter}")
    for library in ("FOO", "BAR", "BAZ")
    for letter in "ABCDEF"
]
PROGRAMS = [seen(Kind.EXEC, name) for name in ("awk", "cat", "cmp", "cp", "diff", "find")]


def test_a_crate_that_does_much_of_everything_gets_a_short_table() -> None:
    proposals = propose("crate", "1.0.0", [*READS, *VARIABLES, *PROGRAMS])

    assert lines_of(proposals) <= LINES_MOST
    assert not is_told(proposals)
    wide = [each for each in proposals if any("would take" in note for note in each.notes)]
    assert wide
    assert all(each.suggestion.widening and not each.suggestion.locked for each in wide)


def test_what_is_short_stays_exact() -> None:
    accesses = [*READS[:3], *VARIABLES[:2], *PROGRAMS[:2]]

    rules = {
        rule.pattern
        for each in propose("crate", "1.0.0", accesses)
        for rule in each.suggestion.rules
    }

    assert rules == {access.target for access in accesses}


def test_what_nothing_shorter_can_say_is_told_with_the_riskiest_question() -> None:
    hosts = [seen(Kind.NET, f"{'long-name' * 6}-{number}.example.org:443") for number in range(14)]

    proposals = propose("crate", "1.0.0", hosts)

    assert lines_of(proposals) > LINES_MOST
    assert ["lines in Cargo.toml" in " ".join(each.notes) for each in proposals].count(True) == 1
    assert is_told(proposals[:1])


LONG = "a_rather_long_name_of_a_file_"


@pytest.mark.parametrize(
    ("kind", "beginning", "count"),
    [
        (Kind.WRITE, "$WORKSPACE/gen", 40),
        (Kind.READ, "$HOME/Documents/d", 16),  # Of more, that question alone suggests the folder.
        (Kind.EXEC, "/srv/t", 40),
    ],
)
def test_no_crate_gets_more_of_high_risk_by_wanting_much(
    kind: Kind, beginning: str, count: int
) -> None:
    wanted = [seen(kind, f"{beginning}{number}/{LONG}{number}.x") for number in range(count)]

    proposals = propose("crate", "1.0.0", wanted)

    suggested = {rule.pattern for each in proposals for rule in each.suggestion.rules}
    assert suggested == {access.target for access in wanted}
    assert is_told(proposals)


@pytest.mark.parametrize("beginning", ["$WORKSPACE/data", "/opt/sdk/share"])
def test_what_is_installed_or_the_workspaces_is_read_by_folder(beginning: str) -> None:
    proposals = propose(
        "crate", "1.0.0", [seen(Kind.READ, f"{beginning}/{LONG}{number}.x") for number in range(16)]
    )

    (asked,) = proposals
    assert [rule.pattern for rule in asked.suggestion.rules] == [f"{beginning}/*.x"]


def test_what_a_crate_has_already_counts() -> None:
    had = [rule for each in propose("crate", "1.0.0", READS[:12]) for rule in each.suggestion.rules]

    asked = propose("crate", "1.0.0", READS, had)

    whole = [rule for each in asked for rule in each.suggestion.rules]
    assert len(whole) < len(READS) - 12
    assert not undecided(READS, [*had, *whole])


NAMES = st.builds(
    "{}{}{}".format,
    st.sampled_from(("f", "preset_", "x y", "v1-", "a_rather_long_name_of_a_file_")),
    st.integers(0, 60),
    st.sampled_from((".toml", ".json", ".md", "", ".tar.gz")),
)
ACCESSES = st.lists(
    st.one_of(
        st.builds(
            lambda root, folder, name: seen(Kind.READ, f"{root}/{folder}/{name}"),
            st.sampled_from(("$WORKSPACE", "/opt/sdk", "$CARGO_HOME/registry/src/i/c-1")),
            st.sampled_from(FOLDERS),
            NAMES,
        ),
        st.builds(
            lambda folder, name: seen(Kind.WRITE, f"$MANIFEST_DIR/{folder}/{name}"),
            st.sampled_from(FOLDERS),
            NAMES,
        ),
        st.sampled_from(VARIABLES),
        st.sampled_from(PROGRAMS),
        st.builds(lambda n: seen(Kind.EXEC, f"/opt/sdk/bin/tool{n}"), st.integers(0, 30)),
        st.builds(lambda n: seen(Kind.NET, f"host{n}.example.org:443"), st.integers(0, 9)),
        st.builds(
            lambda n: seen(Kind.DIRECTIVE, f"rustc-link-arg=-Wl,--defsym,symbol{n}=0"),
            st.integers(0, 9),
        ),
    ),
    max_size=90,
    unique_by=lambda access: (access.kind, access.target),
)


@given(ACCESSES)
def test_every_table_is_short_or_the_person_is_told(accesses: list[Access]) -> None:
    proposals = propose("crate", "1.0.0", accesses)

    assert lines_of(proposals) <= LINES_MOST or is_told(proposals)
    for proposal in proposals:
        assert not undecided(proposal.evidence, proposal.suggestion.rules) or proposal.locked
        assert proposal.locked or not proposal.suggestion.locked
        for rule in proposal.suggestion.rules:
            assert assess_rule(rule)[0] <= max(
                assess_rule(each)[0] for each in proposal.choices[0].rules
            ) or not any(note.startswith("A wider step") for note in proposal.notes)
            assert proposal.locked or not sensitive.opened_by(rule.pattern, writing=False)
    assert briefer(proposals) == proposals or is_told(proposals)
