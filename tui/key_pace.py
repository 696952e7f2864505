"""Tells a key that a person pressed by itself from a burst: a paste, or a key held down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

ALONE_S: Final = 0.3
"""Seconds without another key, before and after: nobody types so slowly in one go."""


class KeyPace:
    """When the last two keys were pressed, on whatever screen.

    What writes a file or overrides a check must not come out of a text that was pasted into the
    terminal: a terminal may send it as single keys. Its keys come close together, so that each
    has another one right before or right after it.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock  # Seconds, monotonic.
        self._before_s = float("-inf")
        self._last_s = float("-inf")
        self.count = 0
        """How many keys there were."""

    def note(self) -> None:
        """Take notice of a key, before anything obeys it."""
        self._before_s, self._last_s = self._last_s, self._clock()
        self.count += 1

    def now_s(self) -> float:
        """Return the time by the same clock."""
        return self._clock()

    @property
    def is_burst(self) -> bool:
        """Whether the last key came right after another one."""
        return self._last_s - self._before_s < ALONE_S
