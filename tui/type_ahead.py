"""Swallows keys that were pressed for what the screen showed before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

HOLD_S: Final = 0.4
"""Seconds in which nobody can have read what has just appeared."""


class TypeAheadGuard:
    """Tells a key press from type-ahead and from a key held down.

    A key that is swallowed prolongs the hold: one that repeats by itself never gets through.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock  # Seconds, monotonic.
        self._until_s = float("-inf")

    def hold(self) -> None:
        """Begin to swallow keys: something has appeared by itself."""
        self._until_s = self._clock() + HOLD_S

    def release(self) -> None:
        """Swallow nothing more: what comes next was chosen from a list."""
        self._until_s = float("-inf")

    def swallows(self) -> bool:
        """Tell whether the key that is pressed now came too early."""
        now_s = self._clock()
        if now_s >= self._until_s:
            return False
        self._until_s = now_s + HOLD_S
        return True
