"""What a screen says of a key that it does not obey: no key does nothing in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from buildperm.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual import events
    from textual.screen import Screen

TOO_EARLY: Final = "Ignored: pressed before this screen came up. Press it again."
"""What is said of a key that was pressed for what was shown before."""


def unobeyed(screen: Screen[Any], event: events.Key, obstacles: Mapping[str, str]) -> str:
    """Say why a key does nothing on a screen; empty if it does something.

    Args:
        screen: The one that the key was pressed on.
        event: The key.
        obstacles: Why actions would do nothing now, by name.
    """
    active = screen.active_bindings.get(event.key)
    if active is not None:
        if active.enabled:
            return ""
        return obstacles.get(active.binding.action, "It does nothing here.")
    name = event.character if event.is_printable and event.character else event.key
    told = f"{printable(name)} does nothing here."
    help_key = key_of(screen, "help")
    return f"{told} {help_key} lists the keys." if help_key else told


def key_of(screen: Screen[Any], action: str) -> str:
    """Return how a key of the screen is printed that does something, by the end of its id."""
    for active in screen.active_bindings.values():
        if active.binding.id is not None and active.binding.id.partition(".")[2] == action:
            return screen.app.get_key_display(active.binding)
    return ""
