"""What decisions add to a crate's grants, and what they take away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from buildperm.policy.access import Kind
from buildperm.policy.decision import Answer, Decision
from buildperm.policy.grants import CrateGrants
from buildperm.policy.pattern import is_literal, matches
from buildperm.policy.proposal import Choice, Proposal
from buildperm.policy.rule import Rule


def merged(had: CrateGrants, decided: Iterable[tuple[Proposal, Decision]]) -> CrateGrants:
    """Return what a crate had together with what was decided about it.

    Everything is kept, except that the newest answer about the same rule wins, and that a grant
    within a denial goes.
    """
    presets, rules, denials = set(had.presets), set(had.rules), set(had.denials)
    for proposal, decision in decided:
        choice = proposal.ladder[decision.rung]
        if decision.answer is Answer.ALLOW:
            rules.update(choice.rules)
            denials.difference_update(choice.rules)
            if choice.preset:
                presets.add(choice.preset)
        elif decision.answer is Answer.DENY:
            refused = _refused(proposal, choice)
            denials |= refused
            rules = {rule for rule in rules if not any(_within(rule, no) for no in refused)}
    return replace(
        had, presets=frozenset(presets), rules=frozenset(rules), denials=frozenset(denials)
    )


def is_settled(proposal: Proposal, decision: Decision) -> bool:
    """Tell whether nothing is left to say; system calls are only shown, so there never is."""
    if decision.answer in (Answer.ALLOW, Answer.DENY):
        return True
    return all(access.kind is Kind.SYSTEM for access in proposal.evidence)


def _refused(proposal: Proposal, choice: Choice) -> frozenset[Rule]:
    """Return the rules that denying a proposal stores: of its rung, else exactly what was seen."""
    rules = choice.rules or tuple(Rule(seen.kind, seen.target) for seen in proposal.evidence)
    return frozenset(rule for rule in rules if rule.kind is not Kind.SYSTEM)


def _within(rule: Rule, denial: Rule) -> bool:
    if rule == denial:
        return True
    covered = is_literal(rule.pattern) and matches(denial.pattern, rule.pattern)
    return rule.kind is denial.kind and covered
