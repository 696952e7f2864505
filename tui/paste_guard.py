"""Tells a paste that a terminal sends as single keys from keys that a person presses."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from buildperm.tui.key_pace import ALONE_S

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE: Final = 3
"""So many keys that decide nothing may come at once: fingers roll over two or three."""

_AT_ONCE_S: Final = 0.004  # Nobody presses more than `AT_ONCE` keys in so little time.


class PasteGuard:
    """Knows when keys came together as only a paste brings them, or a terminal that hung.

    Different keys that are read at once, and one of which would decide or write something, count as
    pasted, however few there are. Whoever pressed them by hand could not see what they were about,
    as the terminal had not drawn the answer to the first one, and is told to press again. Of other
    keys it takes more than anybody can press.

    A key that repeats by itself is no paste, however late it is read. What comes right after a
    paste is its end: it may be read in several pieces.
    """

    def __init__(self, decides: Callable[[str], bool]) -> None:
        """Begin.

        Args:
            decides: Tells whether a key, by its name, would decide, write or leave anything.
        """
        self._decides = decides
        self._latest: deque[tuple[str, float]] = deque(maxlen=AT_ONCE + 1)
        self._from_s = float("inf")
        self._until_s = float("-inf")

    def note(self, key: str, time_s: float, now_s: float) -> None:
        """Take notice of a key as soon as it is there, before any of those is obeyed.

        Args:
            key: Its name.
            time_s: When it was read, by a monotonic clock; one read has one time.
            now_s: The time by the same clock: to understand a long text takes a while.
        """
        self._latest.append((key, time_s))
        if self._came_at_once(time_s):
            if time_s > self._until_s:
                self._from_s = time_s - _AT_ONCE_S
            self._until_s = now_s + ALONE_S
        elif time_s <= self._until_s:
            self._until_s = now_s + ALONE_S

    def _came_at_once(self, time_s: float) -> bool:
        near = [key for key, at_s in self._latest if time_s - at_s <= _AT_ONCE_S]
        if len(near) > AT_ONCE and len({*near}) > 1:
            return True
        read = {key for key, at_s in self._latest if at_s == time_s}
        return len(read) > 1 and any(map(self._decides, read))

    def holds(self, time_s: float) -> bool:
        """Tell whether a key that was read then is part of a paste."""
        return self._from_s <= time_s <= self._until_s
