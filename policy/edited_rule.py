"""Rules that a person writes by hand: what may be written, and what of the seen they cover."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from buildperm.errors import BuildpermError
from buildperm.policy import closed_rules, validation
from buildperm.policy.access import Access
from buildperm.policy.coverage import GrantCoverage
from buildperm.policy.decision import EDITED
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.risk import assess_rule
from buildperm.policy.rule import Rule
from buildperm.policy.validation import Violation
from buildperm.rules.pattern import is_literal

TITLE = "as you wrote it"
_FORM = "Write KIND:PATTERN, such as `read:$WORKSPACE/proto/*.proto`."


@dataclass(frozen=True, slots=True)
class Reach:
    """How much of what was seen some rules cover."""

    covered: tuple[Access, ...]
    left: tuple[Access, ...]  # What stays refused, and is asked again.


def read(text: str, proposal: Proposal) -> Rule | Violation:
    """Read one rule that is to answer a proposal, or say why it cannot.

    A rule is judged as the reader of Cargo.toml judges it, and has to be of a kind that the
    proposal is about.
    """
    try:
        rule = Rule.parse(text)
    except ValueError as error:
        return Violation(str(error), _FORM)
    return violation(rule, proposal) or rule


def violation(rule: Rule, proposal: Proposal) -> Violation | None:
    """Say why a rule cannot answer a proposal, if it cannot."""
    kinds = kinds_of(proposal)
    if rule.kind not in kinds:
        listed = " or ".join(f"`{kind}:`" for kind in kinds)
        return Violation("is about something else than what was seen", f"Begin it with {listed}.")
    found = validation.to_grant(rule, reason="")
    if found is not None:
        return found
    if assess_rule(rule)[0] is Risk.CRITICAL and proposal.risk is not Risk.CRITICAL:
        return Violation(
            "is of critical risk, and what was seen is not",
            "Write a narrower one, or add it to Cargo.toml by hand.",
        )
    return None


def refuse(
    rules: Sequence[Rule], proposal: Proposal, closed: closed_rules.Closed = closed_rules.nothing
) -> None:
    """Refuse rules that cannot answer a proposal.

    Raises:
        BuildpermError: One of them cannot be granted, or there is none, or nothing is asked.
    """
    what = f"the rule of `{proposal.title}` of {proposal.crate} cannot be edited"
    if proposal.reason is not Reason.ASKED:
        raise BuildpermError(f"{what}: nothing is asked", hint="Answer it as it is.")
    if proposal.locked:
        raise BuildpermError(f"{what}: {proposal.locked}")
    if not rules:
        raise BuildpermError(f"{what}: no rule is left", hint="Deny it instead.")
    for rule in rules:
        found = violation(rule, proposal)
        if found is not None:
            raise BuildpermError(f"{what}: `{rule}`: {found.what}", hint=found.hint)
        if reason := closed(rule):
            raise BuildpermError(f"{what}: `{rule}`: {reason}", hint="Name another place.")


def placed(proposal: Proposal, choice: Choice) -> tuple[Proposal, int]:
    """Return a proposal with a choice, and its index; as it is where it has one that says so."""
    for index, known in enumerate(proposal.choices):
        says_so = known.rules == choice.rules and known.consumers == choice.consumers
        if says_so and not known.preset:
            return proposal, index
    return replace(proposal, choices=(*proposal.choices, choice)), len(proposal.choices)


def restored(said: Sequence[str], proposal: Proposal) -> Choice | None:
    """Return the choice that a journal says a person wrote, if it may still be written."""
    if said[:1] != (EDITED,):
        return None
    consumers = tuple(each.removeprefix("for ") for each in said if each.startswith("for "))
    try:
        rules = [Rule.parse(each) for each in said[1 : len(said) - len(consumers)]]
        refuse(rules, proposal)
    except (ValueError, BuildpermError):
        return None
    return choice(rules, proposal, consumers)


def kinds_of(proposal: Proposal) -> tuple[Kind, ...]:
    """Return the kinds of rule that may answer a proposal, in the order of Cargo.toml."""
    seen = {access.kind for access in proposal.evidence}
    offered = {rule.kind for choice in proposal.choices for rule in choice.rules}
    return tuple(kind for kind in Kind if kind in seen | offered and kind is not Kind.SYSTEM)


def choice(rules: Sequence[Rule], proposal: Proposal, consumers: tuple[str, ...] = ()) -> Choice:
    """Return the choice that allows these rules."""
    wide = any(not is_literal(rule.pattern) for rule in rules)
    left = len(reach(rules, proposal.evidence).left)
    told = []
    if wide:
        told.append("It allows whatever matches, not only what was seen.")
    if left:
        told.append(f"It leaves out {left} of what was seen: that stays refused.")
    return Choice(TITLE, tuple(dict.fromkeys(rules)), "", " ".join(told), consumers, True)


def reach(rules: Iterable[Rule], evidence: Iterable[Access]) -> Reach:
    """Tell what of the evidence the rules cover, and what they leave."""
    coverage = GrantCoverage(rules)
    seen = tuple(evidence)
    covered = tuple(access for access in seen if coverage.covers(access))
    return Reach(covered, tuple(access for access in seen if not coverage.covers(access)))
