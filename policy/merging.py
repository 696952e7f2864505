"""How the decisions of a review change the grants: what they add, and what they take away."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from buildperm.policy import dependents, exact_rules, expiry
from buildperm.policy.access import Access
from buildperm.policy.compilation import PINNED, effective
from buildperm.policy.decision import Answer, Decision, Terms
from buildperm.policy.edited_rule import reach
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.inclusion import contains
from buildperm.policy.kinds import Kind
from buildperm.policy.presets import expand
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.risk import assess_rule
from buildperm.policy.rule import Rule

_UNDECIDED = Decision()

Decided: TypeAlias = tuple[Proposal, Decision]


def granted(
    policy: Policy,
    decided: Iterable[Decided],
    settled: Iterable[tuple[str, str]],
    present: Collection[tuple[str, str]] | None,
    revisions: Mapping[tuple[str, str], str] | None = None,
    terms: Mapping[str, Terms] | None = None,
) -> dict[str, CrateGrants]:
    """Return the crates whose entry in `policy` is to change, by key, with what it is to say.

    See `policy.review_state.Review` for `settled`, `present` and `revisions`. `terms` are those
    that were set in this review; a crate that is neither granted nor denied anything has none.
    """
    crates: dict[str, dict[str, list[Decided]]] = {}
    settled = tuple(settled)
    ran = frozenset(settled)
    for key, version in settled:
        crates.setdefault(key, {})[version] = []
    for proposal, decision in decided:
        versions = crates.setdefault(proposal.crate, {})
        versions.setdefault(proposal.version, []).append((proposal, decision))
    changed: dict[str, CrateGrants] = {}
    for key, versions in crates.items():
        had = policy.crates.get(key, CrateGrants(key))
        everything = [each for about in versions.values() for each in about]
        now = merged(pruned(_in_time(had, everything), everything), everything)
        now = _on_terms(now, (terms or {}).get(key))
        named = {each: (revisions or {}).get((key, each), each) for each in versions}
        counted = {
            named[version]
            for version, about in versions.items()
            if (_is_asked(about) or ((key, version) in ran and key in policy.crates))
            and _counts(had, now, named[version], about)
        }
        reviewed = now.reviewed
        if counted - reviewed and present is not None:
            reviewed = frozenset(each for each in reviewed if (key, each) in present)
        now = replace(now, reviewed=reviewed | counted)
        if now != had:
            changed[key] = now
    return changed


def terms_of(policy: Policy) -> dict[str, Terms]:
    """Return what the grant table says of each crate's grants as a whole, by key."""
    return {key: Terms(said.reason, said.expires) for key, said in policy.crates.items()}


def _in_time(had: CrateGrants, decided: Iterable[Decided]) -> CrateGrants:
    """Take away the grants that have ended, once anything new is allowed: that has no end yet."""
    if not expiry.is_over(had.expires, expiry.today()):
        return had
    if all(decision.answer is not Answer.ALLOW for _, decision in decided):
        return had
    return replace(had, presets=frozenset(), rules=frozenset(), consumers=frozenset(), expires=None)


def _on_terms(now: CrateGrants, terms: Terms | None) -> CrateGrants:
    if terms is None or not (now.rules or now.presets or now.denials):
        return now
    return replace(now, reason=terms.reason, expires=terms.expires)


def pruned(had: CrateGrants, decided: Iterable[Decided]) -> CrateGrants:
    """Remove unused and dormant grants that were denied, and store no denial for them."""
    for proposal, decision in decided:
        is_granted = proposal.reason in (Reason.UNUSED, Reason.DORMANT)
        if not is_granted or decision.answer is not Answer.DENY:
            continue
        if not proposal.version:  # The crate itself is gone, and its whole table with it.
            return CrateGrants(had.key)
        choice = proposal.choices[decision.chosen]
        had = replace(
            had, presets=had.presets - {choice.preset}, rules=had.rules.difference(choice.rules)
        )
    return had


def merged(had: CrateGrants, decided: Iterable[Decided]) -> CrateGrants:
    """Return what a crate had together with what was decided about it.

    Everything is kept, except that the newest answer about the same rule wins, that a grant within
    a denial goes, and one within a wider grant that is new.
    """
    presets, rules, denials = set(had.presets), set(had.rules), set(had.denials)
    consumers = set(had.consumers)
    allowed: list[Choice] = []
    for proposal, decision in dependents.without(decided):
        if proposal.reason not in (Reason.ASKED, Reason.COVERED):
            continue
        choice = proposal.choices[decision.chosen]
        if decision.answer is Answer.DENY:
            refused = refused_by(proposal, choice)
            denials |= refused
            rules = {rule for rule in rules if not any(within(rule, no) for no in refused)}
        elif decision.answer is Answer.ALLOW and proposal.reason is Reason.ASKED:
            rules.update(choice.rules)
            allowed.append(choice)
            denials.difference_update(choice.rules)
            consumers.update(choice.consumers)
            if choice.preset:
                presets.add(choice.preset)
    return replace(
        had,
        presets=frozenset(presets),
        rules=frozenset(_without_narrower(rules, allowed)),
        denials=frozenset(denials),
        consumers=frozenset(consumers),
    )


def is_settled(proposal: Proposal, decision: Decision) -> bool:
    """Tell whether nothing is left to decide.

    What is no question never waits for an answer; nor do system calls, which are only shown.
    """
    if decision.answer in (Answer.ALLOW, Answer.DENY):
        return True
    if proposal.reason is Reason.DORMANT:
        return False
    if proposal.reason is not Reason.ASKED:
        return True
    return all(access.kind is Kind.SYSTEM for access in proposal.evidence)


def takes_answer(proposal: Proposal) -> bool:
    """Tell whether a proposal is a decision that somebody has to make.

    This is what all numbers of decisions count; those that are undecided are the ones that are not
    settled.
    """
    return not is_settled(proposal, _UNDECIDED)


def _is_asked(about: Iterable[Decided]) -> bool:
    return any(proposal.reason is Reason.ASKED for proposal, _ in about)


def dormant(grants: CrateGrants, revision: str) -> frozenset[Rule]:
    """Return the risky rules that would come into force for a revision if it became reviewed."""
    if revision in grants.reviewed:
        return frozenset()
    reviewed = replace(grants, reviewed=grants.reviewed | {revision})
    in_force = effective(reviewed, revision).rules & grants.rules
    return frozenset(rule for rule in in_force if assess_rule(rule)[0] >= PINNED)


def _counts(had: CrateGrants, now: CrateGrants, revision: str, about: Sequence[Decided]) -> bool:
    """Tell whether a revision counts as reviewed: all is decided, and a person weighed the risks.

    Risky grants hold for reviewed versions only. A version that asks for nothing, or for what a
    batch may allow, must not get those of its predecessors, or of the version beside it, by the
    way; nor must one whose risky proposals were only denied, or allowed along with another
    crate's. And none must get by a risky answer what was granted before and not shown with it.
    """
    if not revision or not all(is_settled(*each) for each in about):
        return False
    if revision in now.reviewed:
        return True
    allowed = [
        (proposal, decision)
        for proposal, decision in about
        if proposal.reason is Reason.ASKED and decision.answer is Answer.ALLOW
    ]
    asked_for = {
        rule for each, how in allowed for choice in _allowed(each, how) for rule in choice.rules
    }
    kept = {
        rule
        for each, how in about
        if each.reason is Reason.DORMANT and how.answer is Answer.ALLOW
        for rule in each.choices[how.chosen].rules
    }
    shown = asked_for | kept
    if any(
        not any(within(rule, one) for one in shown) for rule in dormant(now, revision) & had.rules
    ):
        return False
    if all(assess_rule(rule)[0] < PINNED for rule in now.rules - shown):
        return True
    return any(each.risk >= PINNED and not how.elsewhere for each, how in allowed)


def _allowed(proposal: Proposal, decision: Decision) -> Sequence[Choice]:
    """Return the choices that an answer allows: what narrower ones do is allowed by wider ones."""
    choice = proposal.choices[decision.chosen]
    return (choice,) if choice.is_edited else proposal.choices[: decision.chosen + 1]


def _without_narrower(rules: Iterable[Rule], allowed: Sequence[Choice]) -> set[Rule]:
    """Leave out the rules that say nothing beside the choices that are allowed now.

    What a wildcard does not open has to be named. So has what holds for every version, where the
    wider rule holds for those that were reviewed.
    """
    own = {rule for choice in allowed for rule in choice.rules}
    of_presets = expand(frozenset(choice.preset for choice in allowed if choice.preset))

    def is_needless(rule: Rule) -> bool:
        return any(
            (rule != one or one not in own)
            and within(rule, one)
            and (assess_rule(one)[0] < PINNED or assess_rule(rule)[0] >= PINNED)
            for one in own | of_presets
        )

    return {
        rule for rule in rules if assess_rule(rule)[0] is Risk.CRITICAL or not is_needless(rule)
    }


def refused_by(proposal: Proposal, choice: Choice) -> frozenset[Rule]:
    """Return the rules that denying a proposal stores: its choice's, else exactly what was seen.

    Rules that a person wrote may leave something out: that is denied as well. Of a program with
    what it needs, it is the program: without that, nobody wants the rest.
    """
    if proposal.reason is Reason.COVERED:
        return exactly(proposal.evidence)
    if proposal.runs and not choice.is_edited:
        direct = [access for access in proposal.evidence if access.is_direct]
        if len(direct) < len(proposal.evidence):
            return exactly(direct)
    if exact_rules.widening(choice.rules) and not choice.is_edited:
        return exactly(proposal.evidence)  # A program that was made is denied by its name.
    rules = choice.rules or tuple(Rule(seen.kind, seen.target) for seen in proposal.evidence)
    refused = {rule for rule in rules if rule.kind is not Kind.SYSTEM}
    if choice.is_edited:
        left = reach(choice.rules, proposal.evidence).left
        refused |= exactly(each for each in left if not proposal.runs or each.is_direct)
    return frozenset(refused)


def exactly(accesses: Iterable[Access]) -> frozenset[Rule]:
    """Return the rules that are about these accesses, and nothing else."""
    return frozenset(exact_rules.denied(one.kind, one.target) for one in accesses)


def within(rule: Rule, other: Rule) -> bool:
    """Tell whether a rule certainly covers nothing that the other one does not."""
    if rule == other:
        return True
    return rule.kind is other.kind and contains(other.pattern, rule.pattern)
