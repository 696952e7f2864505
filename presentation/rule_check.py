"""What a person is told while writing a rule by hand; knows no terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from buildperm.errors import BuildpermError
from buildperm.policy import edited_rule
from buildperm.policy.risk import assess_rule
from buildperm.policy.rule import Rule
from buildperm.presentation.wording import plural, risk_word, verb
from buildperm.printable import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildperm.policy.proposal import Proposal

MOST_RULES: Final = 40
"""Rules that can be edited by hand at once."""

_NAMED_MOST: Final = 5


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """What became of the lines that a person wrote."""

    rules: tuple[Rule, ...]
    problems: tuple[str, ...]  # One sentence each, with the way out; none if all can be granted.
    facts: tuple[str, ...]  # What the rules cover, and what they risk.

    @property
    def is_fine(self) -> bool:
        """Whether the rules can be kept."""
        return bool(self.rules) and not self.problems


def check(lines: Iterable[str], proposal: Proposal) -> RuleCheck:
    """Judge the lines as the reader of Cargo.toml would, and compare them with what was seen.

    Empty lines are left out.
    """
    rules: list[Rule] = []
    problems: list[str] = []
    for line in filter(None, (each.strip() for each in lines)):
        found = edited_rule.read(line, proposal)
        if isinstance(found, Rule):
            rules.append(found)
        else:
            problems.append(f"{shown(line)}: {shown(found.what)}. {shown(found.hint)}")
    if not rules and not problems:
        problems.append("No rule is left. To allow nothing, deny it instead.")
    facts = () if problems else tuple(_facts(rules, proposal))
    return RuleCheck(tuple(dict.fromkeys(rules)), tuple(problems), facts)


def editable(proposal: Proposal, chosen: int) -> tuple[list[str], str]:
    """Return the lines to begin with, and why the rule cannot be edited; that is empty if it can.

    A preset has no lines: editing begins with what was seen.
    """
    rules = proposal.choices[chosen].rules or proposal.choices[0].rules
    if len(rules) > MOST_RULES:
        return [], f"{len(rules)} rules are too many to edit here: choose a wider one with ] first."
    try:
        edited_rule.refuse(rules, proposal)
    except BuildpermError as error:
        what = error.args[0].partition(" cannot be edited: ")[2]
        return [], f"It cannot be edited: {shown(what)}"
    return list(map(str, rules)), ""


def _facts(rules: list[Rule], proposal: Proposal) -> list[str]:
    reach = edited_rule.reach(rules, proposal.evidence)
    seen = plural(len(proposal.evidence), "thing")
    told = [f"Covers everything that was seen ({seen})."]
    if reach.left:
        covered = len(reach.covered)
        told = [f"Covers {covered} of the {seen} seen. Left out, and so refused:"]
        told += [f"  {verb(each.kind)} {shown(each.target)}" for each in reach.left[:_NAMED_MOST]]
        if len(reach.left) > _NAMED_MOST:
            told.append(f"  and {len(reach.left) - _NAMED_MOST} more")
    for rule in rules:
        risk, why = assess_rule(rule)
        told.append(f"{shown(str(rule))}: {risk_word(risk)} risk. {why}")
    return told
