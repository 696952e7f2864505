"""Equivalence: the same question about several crates, so that one answer will do."""

from __future__ import annotations

from collections.abc import Iterable

from buildperm.policy.decision import signature
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk

_OWN_FOLDERS = ("$MANIFEST_DIR", "$OUT_DIR", "$TMP")


class EquivalentProposals:
    """Proposals by what their choices allow."""

    def __init__(self, proposals: Iterable[Proposal]) -> None:
        self._places: dict[tuple[str, ...], dict[str, tuple[Proposal, int]]] = {}
        self.add(proposals)

    def add(self, proposals: Iterable[Proposal]) -> None:
        """Add proposals; what is no question, or is locked, has no equivalent."""
        for proposal in proposals:
            if proposal.reason is Reason.ASKED and not proposal.locked:
                for index, choice in enumerate(proposal.choices):
                    if not choice.locked:
                        known = self._places.setdefault(signature(choice), {})
                        known.setdefault(proposal.id, (proposal, index))

    def find(self, proposal: Proposal, choice: Choice) -> dict[str, int]:
        """Return, by id, the index of the same choice in each other proposal that has it.

        Left out is what is critical or riskier than `proposal`, and what is another thing in each
        crate because it lies in the crate's own folders, or holds for somebody else than the
        workspace.
        """
        said = signature(choice)
        is_own = any(folder in rule.pattern for rule in choice.rules for folder in _OWN_FOLDERS)
        if not said or is_own or choice.consumers or proposal.reason is not Reason.ASKED:
            return {}
        return {
            each: index
            for each, (other, index) in self._places.get(said, {}).items()
            if each != proposal.id and other.risk <= min(proposal.risk, Risk.HIGH)
        }
