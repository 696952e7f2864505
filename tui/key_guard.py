"""Swallows keys that were meant for what stood there before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

HOLD_S: Final = 0.4
"""Seconds during which a key cannot have been meant for what has just appeared."""


class KeyGuard:
    """Tells a key press from type-ahead and from a key held down.

    A key that is swallowed prolongs the hold: one that repeats by itself never gets through.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock  # Seconds, monotonic.
        self._until_s = float("-inf")

    def hold(self) -> None:
        """Begin: something has appeared without being asked for."""
        self._until_s = self._clock() + HOLD_S

    def swallows(self) -> bool:
        """Tell whether the key pressed now came too early to be meant."""
        now_s = self._clock()
        if now_s >= self._until_s:
            return False
        self._until_s = now_s + HOLD_S
        return True
