"""Surplus: the files that exist and that a choice would allow although nobody asked for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from buildperm.policy.kinds import Kind
from buildperm.policy.pattern_set import PatternSet
from buildperm.policy.proposal import Choice, Proposal
from buildperm.rules import sensitive
from buildperm.rules.pattern import is_literal


@dataclass(frozen=True, slots=True)
class Surplus:
    """How many existing files a choice allows beyond what was seen."""

    files: int
    keys: int  # How many of them are in the sensitive tier: these stay closed all the same.
    is_complete: bool  # Everything was looked at; there may be more of both if not.

    @property
    def short(self) -> str:
        """The same in a word or two; empty where nothing is added."""
        if not self.files:
            return "" if self.is_complete else "+ many files"
        told = f"+{self.files:,} file{'s' * (self.files != 1)}"
        told += "" if self.is_complete else " or more"
        return f"{told}, {self.keys:,} key{'s' * (self.keys != 1)} closed" if self.keys else told

    def __str__(self) -> str:
        more = "" if self.is_complete else "at least "
        if not self.files:
            return "+0 existing files" if self.is_complete else "too many files to count"
        told = f"+{more}{self.files:,} existing file{'s' * (self.files != 1)} nobody asked for"
        if not self.keys:
            return told
        them = "a key" if self.keys == 1 else "keys"
        stay = "stays" if self.keys == 1 else "stay"
        return f"{told}, {self.keys:,} of them {them}, which {stay} closed"


def bases(choices: Iterable[Choice]) -> Iterator[str]:
    """Yield the folders below which there may be more than what was seen, each once."""
    found: dict[str, None] = {}
    for choice in choices:
        for rule in choice.rules:
            if rule.kind.is_file and not is_literal(rule.pattern):
                before = rule.pattern.partition("*")[0].partition("?")[0]
                found[before.rpartition("/")[0]] = None
    above: set[str] = set(found) - {""}
    for base in found:
        folder = base.rpartition("/")[0]
        while folder and folder not in above:
            folder = folder.rpartition("/")[0]
        if base and not folder:
            yield base


def of_choices(
    proposal: Proposal, existing: Sequence[str], *, is_complete: bool
) -> tuple[Surplus | None, ...]:
    """Count what each choice of a proposal adds; None where a choice stands for no files.

    Nor is a choice counted that cannot be allowed: what lies below it was not listed.

    Args:
        proposal: What is asked.
        existing: The files below `bases` of its choices, as targets.
        is_complete: Those are all.
    """
    seen = {(access.kind, access.target) for access in proposal.evidence}
    known = {each: bool(sensitive.why(each, writing=False)) for each in existing}
    found: list[Surplus | None] = []
    for choice in proposal.choices:
        if choice.preset or choice.locked or not any(rule.kind.is_file for rule in choice.rules):
            found.append(None)
            continue
        added: set[str] = set()
        is_open = False
        for kind in (Kind.READ, Kind.WRITE, Kind.EXEC):
            patterns = [rule.pattern for rule in choice.rules if rule.kind is kind]
            wild = [pattern for pattern in patterns if not is_literal(pattern)]
            is_open = is_open or bool(wild)
            allowed = PatternSet(wild)
            added.update(
                each for each in known if (kind, each) not in seen and allowed.covers(each)
            )
        keys = sum(known[each] for each in added)
        found.append(Surplus(len(added), keys, is_complete or not is_open))
    return tuple(found)
