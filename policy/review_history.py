"""The steps of a review, to be taken back and taken again without limit."""

from __future__ import annotations

from dataclasses import dataclass, field

from buildperm.policy.decision import Decision, Terms


@dataclass(frozen=True, slots=True)
class Stand:
    """How some things stand: decisions by proposal, terms by crate."""

    decisions: dict[str, Decision] = field(default_factory=dict)
    terms: dict[str, Terms] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.decisions or self.terms)


@dataclass(frozen=True, slots=True)
class _Step:
    before: Stand
    after: Stand


class ReviewHistory:
    """Two stacks of steps, each with how things stood before it and after it."""

    def __init__(self) -> None:
        self._done: list[_Step] = []
        self._undone: list[_Step] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to take again."""
        return bool(self._undone)

    def add(self, before: Stand, after: Stand) -> None:
        """Add a new step; what was taken back can no longer be taken again."""
        self._done.append(_Step(before, after))
        self._undone.clear()

    def undo(self) -> Stand | None:
        """Take the last step back, and return how things stand then."""
        if not self._done:
            return None
        self._undone.append(self._done.pop())
        return self._undone[-1].before

    def redo(self) -> Stand | None:
        """Take again the step that was last taken back, and return how things stand then."""
        if not self._undone:
            return None
        self._done.append(self._undone.pop())
        return self._done[-1].after

    def would_undo_to(self, stand: Stand) -> bool:
        """Tell whether taking the last step back leads to just this."""
        return bool(self._done) and self._done[-1].before == stand

    def would_redo_to(self, stand: Stand) -> bool:
        """Tell whether taking the last step again leads to just this."""
        return bool(self._undone) and self._undone[-1].after == stand
