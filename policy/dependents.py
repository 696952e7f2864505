"""Dependents: the proposals that have nobody to want them once a program is denied."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from buildperm.policy.decision import Answer, Decision
from buildperm.policy.proposal import Proposal, Reason

_Program: TypeAlias = tuple[str, str, str]  # Key of the crate, its version, and what it ran.


class Dependents:
    """Proposals by the program that alone wanted them."""

    def __init__(self, proposals: Iterable[Proposal]) -> None:
        self._by_program: dict[_Program, list[str]] = {}
        self._crates: set[tuple[str, str]] = set()  # Those that anything depends in.
        self.add(proposals)

    def add(self, proposals: Iterable[Proposal]) -> None:
        """Add proposals; what is no question depends on nothing."""
        for each in proposals:
            if each.wanted_by and each.reason is Reason.ASKED:
                program = each.crate, each.version, each.wanted_by
                self._by_program.setdefault(program, []).append(each.id)
                self._crates.add((each.crate, each.version))

    def of(self, proposal: Proposal) -> tuple[str, ...]:
        """Return the ids of what is wanted only by the programs that a proposal is about."""
        if proposal.reason is not Reason.ASKED or not self._has_any(proposal):
            return ()
        programs = ((proposal.crate, proposal.version, name) for name in proposal.runs)
        return tuple(each for program in programs for each in self._by_program.get(program, ()))

    def _has_any(self, proposal: Proposal) -> bool:
        """Tell, at little cost, whether anything in its crate depends on a program."""
        return (proposal.crate, proposal.version) in self._crates


def answer_along(before: Answer, after: Answer, dependent: Answer) -> Answer:
    """Return what becomes of a dependent when the answer about its program changes.

    It is denied with its program, and asked about again if that is not denied any more.
    """
    if after is Answer.DENY and before is not Answer.DENY:
        return Answer.DENY
    if before is Answer.DENY and after is not Answer.DENY and dependent is Answer.DENY:
        return Answer.UNDECIDED
    return dependent


def without(decided: Iterable[tuple[Proposal, Decision]]) -> list[tuple[Proposal, Decision]]:
    """Leave out what only denied programs wanted: nothing of it is to be granted, or denied.

    A denial of what is sensitive stays, as that is asked about whoever wants it.
    """
    everything = list(decided)
    denied = {
        (proposal.crate, proposal.version, name)
        for proposal, decision in everything
        if decision.answer is Answer.DENY and proposal.reason is Reason.ASKED
        for name in proposal.runs
    }
    return [
        (proposal, decision)
        for proposal, decision in everything
        if (proposal.crate, proposal.version, proposal.wanted_by) not in denied
        or (proposal.locked and decision.answer is Answer.DENY)
    ]
