"""Allowances: what one table of grants allows, to compare it with the rules of another table."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from buildperm.policy.compilation import PINNED, effective
from buildperm.policy.grants import CrateGrants
from buildperm.policy.inclusion import contains
from buildperm.policy.kinds import Kind
from buildperm.policy.presets import PRESETS
from buildperm.policy.proposal import Risk
from buildperm.policy.risk import assess_rule
from buildperm.policy.rule import Rule
from buildperm.rules import keyfiles
from buildperm.rules.pattern import is_literal

_REVIEWED = "0.0.0"  # Any version: as if a person had seen that one.


class RuleSet:
    """Rules that can tell whether one of them covers everything another rule does."""

    def __init__(self, rules: Iterable[Rule], keys: Collection[str] = ()) -> None:
        """Take the rules; `keys` are the exact paths of keys here, which no wildcard opens."""
        self._keys = keys
        self._rules = frozenset(rules)
        self._wide: dict[Kind, list[str]] = {}
        for rule in sorted(self._rules):
            if not is_literal(rule.pattern):
                self._wide.setdefault(rule.kind, []).append(rule.pattern)

    def covers(self, rule: Rule) -> bool:
        """Tell whether one of the rules covers all that `rule` does.

        No wildcard opens the sensitive tier, so that a rule in it is covered by itself alone; and
        so is a file that may be a key by its name, as not everybody has that file.
        """
        if rule in self._rules:
            return True
        if rule.kind not in self._wide or assess_rule(rule)[0] is Risk.CRITICAL:
            return False
        if _is_exact_path(rule):
            name = rule.pattern.rpartition("/")[2]
            if rule.pattern in self._keys or keyfiles.may_be_key(name):
                return False
        return any(
            contains(pattern, rule.pattern)
            for pattern in self._wide[rule.kind]
            # A name is looked up on PATH, so that no pattern of names means a path.
            if rule.kind is not Kind.EXEC or _is_path(pattern) == _is_path(rule.pattern)
        )


class Allowance:
    """One table of grants, with presets expanded and without what its denials take away."""

    def __init__(self, grants: CrateGrants | None, keys: Collection[str] = ()) -> None:
        """Prepare to ask; `keys` as for a `RuleSet`."""
        self._grants = grants or CrateGrants("")
        seen = replace(self._grants, reviewed=frozenset({_REVIEWED}))
        self._in_force = effective(seen, _REVIEWED).rules
        self.own = self._grants.rules & self._in_force
        pinned = frozenset(rule for rule in self.own if self.is_pinned(rule))
        self._pinned = RuleSet(pinned, keys)
        self._lasting = RuleSet(self._in_force - pinned, keys)

    def is_pinned(self, rule: Rule) -> bool:
        """Tell whether a rule of the table's own holds for reviewed versions alone."""
        return rule in self._grants.rules and assess_rule(rule)[0] >= PINNED

    def of_preset(self, name: str) -> frozenset[Rule]:
        """Return what is in force of a preset."""
        return self._in_force.intersection(PRESETS[name].rules)

    def has_lasting(self, rule: Rule) -> bool:
        """Tell whether the table allows all that `rule` does, in every version."""
        return self._lasting.covers(rule)

    def has_pinned(self, rule: Rule) -> bool:
        """Tell whether the table allows all that `rule` does, in reviewed versions."""
        return self._pinned.covers(rule)


def exact_paths(grants: Iterable[CrateGrants]) -> frozenset[str]:
    """Return the paths that tables name exactly: those by which the sensitive tier is opened."""
    rules = (rule for each in grants for rule in each.rules)
    return frozenset(rule.pattern for rule in rules if _is_exact_path(rule))


def _is_exact_path(rule: Rule) -> bool:
    return rule.kind.is_file and is_literal(rule.pattern) and _is_path(rule.pattern)


def _is_path(pattern: str) -> bool:
    return "/" in pattern or pattern.startswith("$")
