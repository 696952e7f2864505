"""What grants come to for one version of a crate."""

from __future__ import annotations

import pytest

from buildperm.policy.compilation import EffectiveGrants, effective
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.presets import PRESETS, expand
from buildperm.policy.risk import assess_rule
from buildperm.policy.rule import Rule

PROTO = Rule(Kind.READ, "$WORKSPACE/proto/**")
LINK = Rule(Kind.DIRECTIVE, "rustc-link-arg=-lm")
OUTSIDE = Rule(Kind.WRITE, "$WORKSPACE/gen/**")
HOST = Rule(Kind.NET, "github.com:443")
SECRET = Rule(Kind.ENV, "GITHUB_TOKEN")


def granted(*rules: Rule, reviewed: str = "", denied: tuple[Rule, ...] = ()) -> CrateGrants:
    return CrateGrants(
        "x", frozenset(reviewed.split()), frozenset(), frozenset(rules), frozenset(denied), "why"
    )


def test_no_entry_is_the_baseline_and_nothing_more() -> None:
    assert effective(None, "1.0.0") == EffectiveGrants()
    assert effective(None, "1.0.0").lists() == {
        "read": [],
        "write": [],
        "exec": [],
        "net": [],
        "env": [],
        "directives": [],
        "deny": {},
    }


@pytest.mark.parametrize("rule", [LINK, OUTSIDE, HOST, SECRET, Rule(Kind.EXEC, "unheard-of")])
def test_risky_grants_hold_for_reviewed_versions_only(rule: Rule) -> None:
    grants = granted(rule, PROTO, reviewed="1.0.0 1.0.1")

    assert effective(grants, "1.0.0").rules == {rule, PROTO}
    updated = effective(grants, "1.0.2")
    assert updated.rules == {PROTO}
    assert [each.rule for each in updated.withheld] == [rule]
    assert "version 1.0.2 has not been reviewed" in updated.withheld[0].why


def test_harmless_grants_and_presets_outlive_an_update() -> None:
    grants = CrateGrants("x", frozenset(), frozenset(PRESETS), frozenset({PROTO}))

    assert effective(grants, "9.9.9").rules == {PROTO} | expand(grants.presets)
    assert effective(grants, "9.9.9").withheld == ()


def test_a_rule_that_a_preset_holds_is_still_pinned_where_it_is_granted_by_itself() -> None:
    shell = next(rule for rule in expand(("cmake",)) if rule == Rule(Kind.EXEC, "sh"))
    with_preset = CrateGrants("x", presets=frozenset({"cmake"}))

    assert shell in effective(with_preset, "1.0.0").rules
    assert (shell in effective(granted(shell), "1.0.0").rules) is (assess_rule(shell)[0] < 2)


def test_a_denial_beats_a_grant_and_a_preset() -> None:
    denial = Rule(Kind.EXEC, "sh")
    grants = CrateGrants(
        "x",
        frozenset({"1.0.0"}),
        frozenset({"cmake"}),
        frozenset({denial, PROTO}),
        frozenset({denial}),
    )

    found = effective(grants, "1.0.0")

    assert denial not in found.rules
    assert Rule(Kind.EXEC, "make") in found.rules
    assert found.lists()["deny"] == {"exec": ["sh"]}
    assert [(each.rule, each.why) for each in found.withheld] == [(denial, "it is denied")]


def test_a_tree_with_a_denial_inside_is_withheld_as_a_whole() -> None:
    inside = Rule(Kind.READ, "$WORKSPACE/proto/private.proto")
    beside = Rule(Kind.READ, "$WORKSPACE/protocol")

    assert effective(granted(PROTO, denied=(inside,)), "1.0.0").rules == frozenset()
    assert effective(granted(PROTO, denied=(beside,)), "1.0.0").rules == {PROTO}
    writing = Rule(Kind.WRITE, inside.pattern)
    assert effective(granted(PROTO, denied=(writing,)), "1.0.0").rules == {PROTO}


def test_names_within_a_granted_wildcard_may_be_denied() -> None:
    names, one = Rule(Kind.ENV, "MYLIB_*"), Rule(Kind.ENV, "MYLIB_DIR")

    found = effective(granted(names, denied=(one,)), "1.0.0")

    assert found.lists()["env"] == ["MYLIB_*"]
    assert found.lists()["deny"] == {"env": ["MYLIB_DIR"]}


def test_lists_are_sorted_and_by_kind() -> None:
    rules = [Rule(Kind.READ, "$WORKSPACE/b"), Rule(Kind.READ, "$WORKSPACE/a"), LINK, HOST]

    lists = effective(granted(*rules, reviewed="1.0.0"), "1.0.0").lists()

    assert lists["read"] == ["$WORKSPACE/a", "$WORKSPACE/b"]
    assert lists["directives"] == [LINK.pattern]
    assert lists["net"] == [HOST.pattern]
