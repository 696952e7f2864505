"""Causes: what in one crate wants its proposals, a program or the script or macro itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buildperm.policy.kinds import Kind
from buildperm.policy.role import SubjectKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildperm.policy.proposal import Proposal


class ProposalCause(NamedTuple):
    """What in one crate wants some of its proposals."""

    program: str  # As the script called it; empty for the script or macro itself.
    proposals: tuple[Proposal, ...]

    @property
    def name(self) -> str:
        """Return what people call it: `git`, `the build script itself`."""
        if self.program:
            return self.program
        found = {role.subject for each in self.proposals for role in each.roles}
        match [subject for subject in SubjectKind if subject in found]:
            case [only]:
                return f"the {only.noun} itself"
            case []:
                return "the build script itself"
            case _:
                return "the crate itself"


def by_cause(proposals: Iterable[Proposal], known: dict[str, str]) -> tuple[ProposalCause, ...]:
    """Put proposals together by their cause, the causes in the order of their first proposal.

    `known` keeps the causes by id of the proposal, so that they are worked out once.
    """
    found: dict[str, list[Proposal]] = {}
    for proposal in proposals:
        if proposal.id not in known:
            known[proposal.id] = _cause_of(proposal)
        found.setdefault(known[proposal.id], []).append(proposal)
    return tuple(ProposalCause(program, tuple(theirs)) for program, theirs in found.items())


def _cause_of(proposal: Proposal) -> str:
    """Return the one program that a proposal is about: whether it is run, or wants something."""
    if proposal.wanted_by:
        return proposal.wanted_by
    runs: set[str] = set()
    others: set[str] = set()
    for access in proposal.evidence:
        if access.wanted_by:
            others.add(access.wanted_by)
        elif access.kind is Kind.EXEC:
            runs.add(access.target)
    found = runs | others
    return found.pop() if runs and len(found) == 1 else ""
