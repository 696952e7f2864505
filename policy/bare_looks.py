"""Bare looks: what a script has only looked at, and what shows it without a grant of its own."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from buildperm.policy.access import Outcome
from buildperm.policy.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildperm.policy.access_builder import AccessBuilder


class BareLooks:
    """Accesses that were at most looks, and all that the script has come to."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._only_looked: dict[str, bytes] = {}  # The paths, by their targets.
        self._led_to: set[bytes] = set()  # What was opened, looked at or run.

    def add(self, target: str, path: bytes) -> None:
        """Take in that `path` was looked at, of which nothing else is known yet."""
        self._only_looked[target] = path

    def was_read(self, target: str) -> None:
        """Take in that it was more than a look."""
        self._only_looked.pop(target, None)

    def reached(self, *paths: bytes) -> None:
        """Take in that the script has come to `paths`."""
        self._led_to.update(paths)

    def is_look(self, kind: Kind, target: str) -> bool:
        """Tell whether an access was at most a look."""
        return kind is Kind.READ and target in self._only_looked

    def asked_otherwise(self, accesses: Mapping[tuple[Kind, str], AccessBuilder]) -> set[str]:
        """Return the targets that need no question: a grant of something else shows them."""
        if not self._only_looked:
            return set()
        shown = self._above_what_was_reached()
        named = {target for kind, target in accesses if kind is Kind.WRITE}
        for (kind, target), access in accesses.items():
            if kind is Kind.EXEC:
                named |= {target, access.resolved}
        return {
            target
            for target, path in self._only_looked.items()
            if target in named
            or (path in shown and accesses[Kind.READ, target].outcome is Outcome.DONE)
        }

    def _above_what_was_reached(self) -> set[bytes]:
        """Return the folders above all that was reached: whatever shows that shows them, too."""
        above: set[bytes] = set()
        for path in self._led_to:
            while path not in (b"", b"/"):
                path = posixpath.dirname(path)
                if path in above:
                    break
                above.add(path)
        return above
