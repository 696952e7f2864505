"""Which grants cover an access, and which one allows more than it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy import choices
from buildperm.policy.access import Access, Outcome
from buildperm.policy.coverage import Coverage, GrantCoverage
from buildperm.policy.implied_grants import ImpliedGrants, preset_choice
from buildperm.policy.kinds import Kind
from buildperm.policy.presets import PRESETS, expand
from buildperm.policy.rule import Rule
from buildperm.rules.pattern import is_literal, matches

PROTO = Rule(Kind.READ, "$WORKSPACE/proto/**")


def access(kind: Kind, target: str, *, resolved: str = "", sensitive: str = "") -> Access:
    return Access(kind, target, Outcome.DONE, 1, 0, 0, (), "", sensitive, resolved)


def test_a_rule_covers_its_own_kind_only() -> None:
    file = access(Kind.READ, "$WORKSPACE/proto/a")

    assert Coverage([PROTO]).covers(file)
    assert not Coverage([Rule(Kind.WRITE, PROTO.pattern)]).covers(file)
    assert not Coverage([]).covers(file)
    assert Coverage([PROTO]).has(Kind.READ, "$WORKSPACE/proto")
    assert not Coverage([PROTO]).has(Kind.READ, "$WORKSPACE/protocol")


def test_a_program_is_covered_by_its_name_or_its_file() -> None:
    tool = access(Kind.EXEC, "tool", resolved="/opt/tools/tool-1")

    assert Coverage([Rule(Kind.EXEC, "tool")]).covers(tool)
    assert Coverage([Rule(Kind.EXEC, "/opt/tools/*")]).covers(tool)
    assert not Coverage([Rule(Kind.EXEC, "/opt/tools/tool")]).covers(tool)


def test_only_an_exact_grant_opens_the_sensitive_tier() -> None:
    key = access(Kind.READ, "$HOME/.ssh/id", sensitive="a private key")
    ordinary = access(Kind.READ, "$HOME/.ssh/id")
    wide, exact = Rule(Kind.READ, "$HOME/**"), Rule(Kind.READ, "$HOME/.ssh/id")

    assert not GrantCoverage([wide]).covers(key)
    assert GrantCoverage([wide]).covers(ordinary)
    assert GrantCoverage([wide, exact]).covers(key)
    assert not GrantCoverage([]).covers(ordinary)


kinds = st.sampled_from([Kind.READ, Kind.WRITE, Kind.EXEC, Kind.ENV])
patterns = st.sampled_from(
    [
        "$WORKSPACE/**",
        "$WORKSPACE/proto/**",
        "$WORKSPACE/proto/*",
        "$WORKSPACE/proto/a",
        "$WORKSPACE/*/a",
        "**/a",
        "cc",
        "c*",
        "MY_*",
        "MY_?",
        "%61",
    ]
)
targets = st.sampled_from(
    ["$WORKSPACE/proto/a", "$WORKSPACE/proto/in/a", "$WORKSPACE/b", "cc", "c++", "MY_A", "a"]
)
rules = st.frozensets(st.builds(Rule, kinds, patterns), max_size=5)
accesses = st.builds(
    access, kinds, targets, resolved=st.sampled_from(["", "/opt/a"]), sensitive=st.just("")
)


@given(rules, accesses)
def test_coverage_is_matching_any_rule(granted: frozenset[Rule], one: Access) -> None:
    names = {one.target, one.resolved} - {""}

    assert Coverage(granted).covers(one) is any(
        rule.kind is one.kind and matches(rule.pattern, name) for rule in granted for name in names
    )


@given(rules, st.sets(st.sampled_from(["cc", "git", "pkg-config"])), accesses)
def test_a_grant_is_named_just_where_it_allows_more_than_what_was_seen(
    granted: frozenset[Rule], names: set[str], one: Access
) -> None:
    in_force = granted | expand(frozenset(names))
    own = in_force - expand(frozenset(names))

    choice = ImpliedGrants(in_force, names).of(one)

    if choice is None:
        exact = Coverage(rule for rule in own if is_literal(rule.pattern)).covers(one)
        portable = own.issuperset(choices.exactly(one.kind, [one]).rules)
        assert exact or portable or not Coverage(in_force).covers(one)
    elif choice.preset:
        assert choice.preset in names
        assert choice.rules == ()
        assert Coverage(PRESETS[choice.preset].rules).covers(one)
        assert not Coverage(own).covers(one)
    else:
        (rule,) = choice.rules
        assert rule in own
        assert not is_literal(rule.pattern)
        assert Coverage([rule]).covers(one)
    if choice is not None:
        assert choice.widening


@pytest.mark.parametrize(
    ("patterns", "narrowest"),
    [
        (["$WORKSPACE/**", "$WORKSPACE/proto/**"], "$WORKSPACE/proto/**"),
        (["$WORKSPACE/proto/**", "$WORKSPACE/proto/in/**"], "$WORKSPACE/proto/in/**"),
        (["$WORKSPACE/**", "**/x.proto"], "$WORKSPACE/**"),
    ],
)
def test_of_several_grants_the_longest_pattern_is_named(
    patterns: list[str], narrowest: str
) -> None:
    granted = [Rule(Kind.READ, pattern) for pattern in patterns]

    choice = ImpliedGrants(granted, ()).of(access(Kind.READ, "$WORKSPACE/proto/in/x.proto"))

    assert choice is not None
    assert choice.rules == (Rule(Kind.READ, narrowest),)


def test_the_order_in_which_grants_come_does_not_matter() -> None:
    granted = [Rule(Kind.READ, "$WORKSPACE/a*/**"), Rule(Kind.READ, "$WORKSPACE/*b/**")]
    one = access(Kind.READ, "$WORKSPACE/ab/c")

    assert ImpliedGrants(granted, ()).of(one) == ImpliedGrants(granted[::-1], ()).of(one)


def test_of_several_presets_the_smallest_is_named() -> None:
    assert len(PRESETS["bindgen"].rules) < len(PRESETS["cc"].rules)
    for names in (["cc", "bindgen"], ["bindgen", "cc"]):
        covering = ImpliedGrants(expand(frozenset(names)), names)

        assert covering.of(access(Kind.EXEC, "clang")) == preset_choice("bindgen")
        assert covering.of(access(Kind.EXEC, "gcc")) == preset_choice("cc")


def test_a_preset_that_is_not_in_force_covers_nothing() -> None:
    assert ImpliedGrants((), ["cc"]).of(access(Kind.EXEC, "cc")) is None


def test_a_preset_that_a_denial_took_apart_covers_only_what_is_left() -> None:
    left = expand(frozenset({"cc"})) - {Rule(Kind.EXEC, "ld")}

    assert ImpliedGrants(left, ["cc"]).of(access(Kind.EXEC, "cc")) is not None
    assert ImpliedGrants(left, ["cc"]).of(access(Kind.EXEC, "ld")) is None


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_the_choice_of_a_preset_says_what_it_covers_and_leaves_out(name: str) -> None:
    choice = preset_choice(name)

    assert choice.preset == name
    assert choice.rules == ()
    assert PRESETS[name].covers in choice.widening
    assert PRESETS[name].leaves_out in choice.widening
