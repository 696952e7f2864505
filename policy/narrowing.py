"""Narrowing: which ways to allow a proposal allow no more than another one does."""

from __future__ import annotations

from buildperm.policy.coverage import Coverage
from buildperm.policy.inclusion import contains
from buildperm.policy.presets import PRESETS
from buildperm.policy.proposal import Choice, Risk
from buildperm.policy.risk import assess_rule
from buildperm.policy.rule import Rule
from buildperm.policy.sensitivity import why_sensitive
from buildperm.rules.pattern import is_literal


def is_within(choice: Choice, allowed: Choice) -> bool:
    """Tell whether a choice allows nothing that another one does not allow, and nothing riskier.

    Where it is not known that one lies within the other, it does not. What is critical has to be
    the same, rule by rule: an exact path opens what a wildcard around it leaves closed.
    """
    if not {*choice.consumers} <= {*allowed.consumers}:
        return False
    if choice.preset not in (allowed.preset, "", *PRESETS):
        return False
    mine, theirs = _rules(choice), _rules(allowed)
    new = mine - theirs
    if not new:
        return True
    riskiest = max(map(_risk, new))
    if any(map(_is_sensitive, new)):
        return False
    if riskiest is Risk.CRITICAL or riskiest > max(map(_risk, theirs), default=Risk.LOW):
        return False
    known = Coverage(theirs)
    return all(
        known.has(rule.kind, rule.pattern)
        if is_literal(rule.pattern)
        else any(
            other.kind is rule.kind and contains(other.pattern, rule.pattern) for other in theirs
        )
        for rule in new
    )


def _rules(choice: Choice) -> frozenset[Rule]:
    preset = PRESETS.get(choice.preset)
    return frozenset((*choice.rules, *(preset.rules if preset is not None else ())))


def _is_sensitive(rule: Rule) -> bool:
    """Tell whether a rule names something sensitive: a program that is called like a key, too."""
    return rule.kind.is_file and bool(why_sensitive(rule.kind, rule.pattern))


def _risk(rule: Rule) -> Risk:
    return assess_rule(rule)[0]
