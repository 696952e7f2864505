"""The keys in sentences: as a person has them, not as they are built in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from buildperm.tui.key_bindings import action_of

if TYPE_CHECKING:
    from textual.app import App

    from buildperm.tui.key_bindings import Action

_PLACE: Final = re.compile(r"\{([a-z]+\.[a-z-]+)\}")


def with_keys(app: App[Any], text: str) -> str:
    """Return a sentence of ours with the key of each action in place of its id in braces."""
    return _PLACE.sub(lambda found: key_name(app, found[1]), text)


def _action(identifier: str) -> Action:
    action = action_of(identifier)
    if action is None:
        raise KeyError(identifier)
    return action


def key_name(app: App[Any], identifier: str) -> str:
    """Return how the first key of an action is printed, by the id of the action."""
    action = _action(identifier)
    keys = getattr(app, "keys", {}).get(identifier, action.keys)
    return app.get_key_display(action.binding.with_key(keys.split(",")[0]))


def key_names(app: App[Any], identifier: str) -> str:
    """Return how all keys of an action are printed: `k q`.

    Those that interrupt programs are left out: they do what they do everywhere.
    """
    action = _action(identifier)
    keys = getattr(app, "keys", {}).get(identifier, action.keys).split(",")
    told = [each for each in keys if not each.startswith("ctrl+")] or keys
    return " ".join(app.get_key_display(action.binding.with_key(each)) for each in told)


def key_label(app: App[Any], identifier: str) -> str:
    """Return the same for the beginning of a line: `Tab`, but `x`."""
    name = key_name(app, identifier)
    return name.capitalize() if len(name) > 1 else name
