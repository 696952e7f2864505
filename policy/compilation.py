"""Grants made ready for a supervisor: presets expanded, risky rules pinned, denials taken out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TypedDict

from buildperm.policy import expiry, presets
from buildperm.policy import revision as revisions
from buildperm.policy.grants import CrateGrants
from buildperm.policy.inclusion import contains
from buildperm.policy.kinds import GRANTABLE, Kind, Syntax
from buildperm.policy.overlap import overlap
from buildperm.policy.proposal import Risk
from buildperm.policy.risk import assess_rule
from buildperm.policy.rule import Rule
from buildperm.rules.pattern import is_literal

PINNED = Risk.HIGH
"""From this risk on, a rule applies to reviewed revisions only; below it, it outlives an update."""

_UNREVIEWED = "has not been reviewed"

# Landlock cannot refuse a part of what it allows, so a grant that a denial cuts into is withheld as
# a whole. Names of variables and directives are judged one by one, where both lists are at hand.
_UNDIVIDED = (Syntax.PATH, Syntax.PROGRAM, Syntax.ADDRESS)


class SessionLists(TypedDict):
    """The lists of one package in a session, each sorted."""

    read: list[str]
    write: list[str]
    exec: list[str]
    net: list[str]
    env: list[str]
    directives: list[str]
    deny: dict[str, list[str]]  # By kind; only kinds with a denial.


@dataclass(frozen=True, slots=True)
class WithheldRule:
    """A rule of the grant table that is not in force, and why, as a clause."""

    rule: Rule
    why: str

    @property
    def lacks_review(self) -> bool:
        """Tell whether it would be in force if the version were in `reviewed`."""
        return _UNREVIEWED in self.why


@dataclass(frozen=True, slots=True)
class EffectiveGrants:
    """What one revision of a crate may really do beyond the baseline."""

    rules: frozenset[Rule] = frozenset()
    denials: frozenset[Rule] = frozenset()
    withheld: tuple[WithheldRule, ...] = ()  # Sorted by rule.

    def lists(self) -> SessionLists:
        """Write it as a session's package does."""
        denied = {str(kind): _patterns(self.denials, kind) for kind in GRANTABLE}
        return SessionLists(
            read=_patterns(self.rules, Kind.READ),
            write=_patterns(self.rules, Kind.WRITE),
            exec=_patterns(self.rules, Kind.EXEC),
            net=_patterns(self.rules, Kind.NET),
            env=_patterns(self.rules, Kind.ENV),
            directives=_patterns(self.rules, Kind.DIRECTIVE),
            deny={kind: patterns for kind, patterns in denied.items() if patterns},
        )


def effective(grants: CrateGrants | None, revision: str, on: date | None = None) -> EffectiveGrants:
    """Return what `grants` allow this revision of their crate; None allows the baseline alone.

    `revision` is as `policy.revision` has it: of a Git repository, a version alone is none. `on` is
    the day in question; None is today, so that nobody can forget that grants end.
    """
    if grants is None:
        return EffectiveGrants()
    if grants.imported:
        return _with_imported(grants, revision, on)
    rules = grants.rules | presets.expand(grants.presets)
    ended = grants.young
    if grants.expires is not None and expiry.is_over(grants.expires, on or expiry.today()):
        ended = expiry.sentence(grants.expires)
    parts = _parts_of_denied(grants)
    withheld: list[WithheldRule] = []
    for rule in sorted(rules):
        why = ended or _why_withheld(rule, grants, revision) or parts.get(rule, "")
        if why:
            withheld.append(WithheldRule(rule, why))
    return EffectiveGrants(
        rules - {each.rule for each in withheld}, grants.denials, tuple(withheld)
    )


def _with_imported(grants: CrateGrants, revision: str, on: date | None) -> EffectiveGrants:
    """Add what was imported: every denial counts, and narrower rules of the table's own win."""
    denials = grants.denials.union(*(each.denials for each in grants.imported))
    own = effective(replace(grants, denials=denials, imported=()), revision, on)
    rules, withheld = set(own.rules), {each.rule: each for each in own.withheld}
    for lent in grants.imported:
        told = replace(lent, denials=denials, young=grants.young)
        theirs = effective(told, revision, on)
        for rule in theirs.rules - rules:
            narrower = _narrower(rule, grants.rules) if rule in lent.rules else None
            if narrower is None:
                rules.add(rule)
                withheld.pop(rule, None)
            else:
                why = f"`{narrower.pattern}`, which the workspace grants itself, is narrower"
                withheld.setdefault(rule, WithheldRule(rule, why))
        for each in theirs.withheld:
            if each.rule not in rules:
                withheld.setdefault(each.rule, each)
    return EffectiveGrants(
        frozenset(rules), denials, tuple(withheld[rule] for rule in sorted(withheld))
    )


def only_imported(grants: CrateGrants | None, revision: str) -> frozenset[Rule]:
    """Return the rules that are in force by imported files alone: no secret opens by them."""
    if grants is None or not grants.imported:
        return frozenset()
    return (
        effective(grants, revision).rules - effective(replace(grants, imported=()), revision).rules
    )


def _narrower(rule: Rule, own: frozenset[Rule]) -> Rule | None:
    """Return one of the own rules that allows a part of what `rule` does, and not all of it."""
    for each in sorted(own):
        if each.kind is rule.kind and each != rule and contains(rule.pattern, each.pattern):
            return each
    return None


def _parts_of_denied(grants: CrateGrants) -> dict[Rule, str]:
    """Return why the programs of presets are withheld whose own program is denied.

    Denied is `git`, which is also called `/usr/lib/git-core/git`.
    """
    denied = [each.pattern for each in grants.denials if each.kind is Kind.EXEC]
    found: dict[Rule, str] = {}
    for name in sorted(grants.presets):
        preset = presets.PRESETS[name]
        if preset.anchors and all(
            any(contains(pattern, anchor) for pattern in denied) for anchor in preset.anchors
        ):
            why = f"it is a part of `{preset.anchors[0]}`, which is denied"
            found |= {
                rule: why
                for rule in preset.rules
                if rule.kind is Kind.EXEC and rule not in grants.rules
            }
    return found


def secret_variables(grants: CrateGrants | None, revision: str) -> list[str]:
    """Return the variables that this revision of a crate may see though their values hold a secret.

    Somebody has named them exactly and given a reason, as for all of the sensitive tier.
    """
    if grants is None or not grants.reason or revision not in grants.reviewed:
        return []
    if grants.young or expiry.is_over(grants.expires, expiry.today()):
        return []
    named = (rule.pattern for rule in grants.rules if rule.kind is Kind.ENV)
    return sorted(name for name in named if is_literal(name))


def _why_withheld(rule: Rule, grants: CrateGrants, revision: str) -> str:
    for denial in sorted(grants.denials):
        if denial == rule:
            return "it is denied"
        if (
            rule.kind is denial.kind
            and rule.kind.traits.syntax in _UNDIVIDED
            and overlap(rule.pattern, denial.pattern)
        ):
            return f"it cannot be held without `{denial.pattern}`, which is denied"
    if (
        revision in grants.reviewed or rule not in grants.rules
    ):  # Presets are of medium risk at most.
        return ""
    assessed, _ = assess_rule(rule)
    if assessed >= PINNED:
        return f"{assessed.name.lower()} risk, and {_not_reviewed(grants, revision)}"
    return ""


def _not_reviewed(grants: CrateGrants, revision: str) -> str:
    """Say which revision nobody has reviewed, as a clause."""
    told = f"version {revisions.in_words(revision)} {_UNREVIEWED}"
    alone = revisions.version(revision)
    if alone != revision and alone in grants.reviewed:
        told += f": `{alone}` in `reviewed` names no commit; `buildperm review` writes it"
    return told


def _patterns(rules: frozenset[Rule], kind: Kind) -> list[str]:
    return sorted(rule.pattern for rule in rules if rule.kind is kind)
