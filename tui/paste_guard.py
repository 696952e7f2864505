"""Tells a paste that a terminal sends as single keys from keys that a person presses."""

from __future__ import annotations

from collections import deque
from typing import Final

from buildperm.tui.key_pace import ALONE_S

AT_ONCE: Final = 3
"""So many keys may come at once: fingers roll over two or three, and so many a script may send."""

_AT_ONCE_S: Final = 0.004  # Nobody presses more than `AT_ONCE` keys in so little time.


class PasteGuard:
    """Knows when more keys came at once than anybody can press.

    A key that repeats by itself is no paste, however late it is read. What comes right after a
    paste is its end: it may be read in several pieces.
    """

    def __init__(self) -> None:
        self._latest: deque[tuple[str, float]] = deque(maxlen=AT_ONCE + 1)
        self._from_s = float("inf")
        self._until_s = float("-inf")

    def note(self, key: str, time_s: float, now_s: float) -> None:
        """Take notice of a key as soon as it is there, before any of those is obeyed.

        Args:
            key: Its name.
            time_s: When it was read, by a monotonic clock.
            now_s: The time by the same clock: to understand a long text takes a while.
        """
        self._latest.append((key, time_s))
        keys = {each for each, _ in self._latest}
        came_at_once = time_s - self._latest[0][1] <= _AT_ONCE_S
        if len(self._latest) > AT_ONCE and len(keys) > 1 and came_at_once:
            if time_s > self._until_s:
                self._from_s = time_s - _AT_ONCE_S
            self._until_s = now_s + ALONE_S
        elif time_s <= self._until_s:
            self._until_s = now_s + ALONE_S

    def holds(self, time_s: float) -> bool:
        """Tell whether a key that was read then is part of a paste."""
        return self._from_s <= time_s <= self._until_s
