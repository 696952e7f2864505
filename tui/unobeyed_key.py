"""What a screen says of a key that it does not obey: no key does nothing in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from textual.widget import Widget

from buildperm.printable import printable
from buildperm.tui.widgets.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual import events
    from textual.binding import ActiveBinding
    from textual.screen import Screen

TOO_EARLY: Final = "Ignored: pressed before this screen came up. Press it again."
"""What is said of a key that was pressed for what was shown before."""

PASTED: Final = "That looked like pasted text; nothing was decided."
"""What is said of many keys that came at once."""

_DOWN: Final = {"scroll_down", "page_down", "scroll_end"}
_UP: Final = {"scroll_up", "page_up", "scroll_home"}
_ACROSS: Final = {"scroll_left", "scroll_right", "page_left", "page_right"}
"""What Textual's own keys call on a sheet that has the focus."""

_FOCUS: Final = {"app.focus_next", "app.focus_previous"}


def unobeyed(screen: Screen[Any], event: events.Key, obstacles: Mapping[str, str]) -> str:
    """Say why a key does nothing on a screen; empty if it does something.

    Args:
        screen: The one that the key was pressed on.
        event: The key.
        obstacles: Why actions would do nothing now, by name.
    """
    active = screen.active_bindings.get(event.key)
    if active is not None:
        if active.enabled and not _is_idle(screen, active):
            return _standstill(active)
        if not active.enabled:
            return obstacles.get(active.binding.action, "It does nothing here.")
    is_visible = event.is_printable and event.character not in (None, " ")
    name = event.character if is_visible and event.character else event.key
    told = f"{printable(name)} does nothing here."
    help_key = key_of(screen, "help")
    return f"{told} {help_key} lists the keys." if help_key else told


def _is_idle(screen: Screen[Any], active: ActiveBinding) -> bool:
    """Tell whether a key that Textual has bound has no use on a screen."""
    action = active.binding.action
    if action in _FOCUS:
        return len(screen.focus_chain) < 2
    if isinstance(active.node, Sheet):
        return action in _ACROSS
    is_scroll = action in _DOWN | _UP  # A line to type in has them, too.
    return is_scroll and isinstance(active.node, Widget) and not active.node.allow_vertical_scroll


def _standstill(active: ActiveBinding) -> str:
    """Say why a sheet does not scroll any more; empty where it does, or something else is done."""
    if not isinstance(active.node, Sheet) or active.binding.action not in _DOWN | _UP:
        return ""
    return active.node.standstill(1 if active.binding.action in _DOWN else -1)


def key_of(screen: Screen[Any], action: str) -> str:
    """Return how a key of the screen is printed that does something, by the end of its id."""
    for active in screen.active_bindings.values():
        if active.binding.id is not None and active.binding.id.partition(".")[2] == action:
            return screen.app.get_key_display(active.binding)
    return ""
