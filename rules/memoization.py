"""Caches answers: each script gets much the same variables as the one before.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Key = TypeVar("Key", str, bytes)


def memoized(most: int) -> Callable[[Callable[[Key], str]], Callable[[Key], str]]:
    """Cache the answers of a function; all are dropped once there are `most`."""

    def decorate(judge: Callable[[Key], str]) -> Callable[[Key], str]:
        known: dict[Key, str] = {}

        def judged(key: Key) -> str:
            found = known.get(key)
            if found is None:
                if len(known) >= most:
                    known.clear()
                found = known[key] = judge(key)
            return found

        return judged

    return decorate
