"""What was seen and needs no decision, because every build script may do it: by crate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from buildperm.policy.access import Access, Outcome
from buildperm.policy.undecided_accesses import is_settled

CrateVersion = tuple[str, str]

COUNTED_MOST: Final = 5_000
"""Accesses of a crate among which those are counted before anybody asks for them."""


class BaselineAccesses:
    """The accesses of all crates that ran; sorts out those of a crate when they are asked for."""

    def __init__(self, accesses: Mapping[CrateVersion, Sequence[Access]]) -> None:
        """Begin with nothing sorted out.

        Args:
            accesses: All that each crate did, by key and version.
        """
        self._accesses = accesses
        self._sorted_out: dict[CrateVersion, tuple[Access, ...]] = {}

    @property
    def crates(self) -> Sequence[CrateVersion]:
        """Key and version of the crates that ran."""
        return sorted(self._accesses)

    def of(self, crate: CrateVersion) -> tuple[Access, ...]:
        """Return what a crate did that needs no decision: what worked before what failed."""
        if crate not in self._sorted_out:
            found = [each for each in self._accesses.get(crate, ()) if is_settled(each)]
            self._sorted_out[crate] = tuple(sorted(found, key=_order))
        return self._sorted_out[crate]

    def count(self, crate: CrateVersion) -> int | None:
        """Return how much that is; None where counting would take a while."""
        is_quick = len(self._accesses.get(crate, ())) <= COUNTED_MOST
        return len(self.of(crate)) if is_quick or crate in self._sorted_out else None


def _order(access: Access) -> tuple[bool, str, str]:
    return access.outcome is Outcome.FAILED, access.kind.value, access.target
