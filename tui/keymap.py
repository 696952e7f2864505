"""The keys of a person in place of the built-in ones, checked: every action stays in reach."""

from __future__ import annotations

from collections import defaultdict
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from textual.keys import Keys, _character_to_key  # The same names as in a keymap.

from buildperm.errors import BuildpermError
from buildperm.printable import is_visible
from buildperm.tui.key_bindings import ACTIONS, DECIDE, FINISH, TOGETHER, action_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from buildperm.tui.key_bindings import Action

_NAMES: Final = frozenset(each.value for each in Keys)
_MODIFIERS: Final = ("ctrl", "alt", "shift", "super", "hyper", "meta")
_BY_HABIT: Final = frozenset({"enter", "space", "escape", "tab", "backspace"})
"""Keys that a hand presses by itself: none of them may decide or write."""


def keymap(chosen: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return keys by action, as Textual takes them.

    Args:
        chosen: Keys by the id of an action, as a person has written them.

    Raises:
        BuildpermError: There is no such action or key, or one key would do two things.
    """
    changed: dict[str, str] = {}
    for identifier, keys in chosen.items():
        action = action_of(identifier)
        if action is None or not action.told:
            raise BuildpermError(
                f"keys.{identifier}: there is no such action", hint=_suggestion(identifier)
            )
        names = [_key(key, identifier) for key in keys]
        reflex = sorted((_BY_HABIT & {*names}) - _defaults(action))
        if action.group in {DECIDE, FINISH} and reflex:
            raise BuildpermError(
                f"keys.{identifier}: `{reflex[0]}` cannot decide or write anything",
                hint="Choose a key that is not pressed by habit.",
            )
        changed[identifier] = ",".join(names)
    for screens in _screens():
        _check_conflicts(screens, changed)
    return changed


def _key(written: str, identifier: str) -> str:
    """Return the name of a key as Textual has it: `?` is `question_mark`."""
    *modifiers, key = written.split("+") if len(written) > 1 else [written]
    is_known = (len(key) == 1 and is_visible(key)) or key in _NAMES or _is_named_character(key)
    if not is_known or not {*modifiers} <= {*_MODIFIERS}:
        raise BuildpermError(
            f"keys.{identifier}: there is no key `{written}`",
            hint="Write a letter, or a name such as `f2`, `ctrl+k`, `home`.",
        )
    name = _character_to_key(key) if len(key) == 1 else key
    return "+".join([*modifiers, name])


def _is_named_character(name: str) -> bool:
    """Tell whether it is the name of a punctuation mark: `question_mark`."""
    return any(_character_to_key(chr(code)) == name for code in range(0x21, 0x7F))


def _screens() -> Iterator[tuple[str, ...]]:
    """Yield the screens and widgets that have keys at the same time."""
    yield from TOGETHER
    together = {name for screens in TOGETHER for name in screens}
    for name in dict.fromkeys(action.screen for action in ACTIONS):
        if name not in together:
            yield name, "app"


def _check_conflicts(screens: Iterable[str], changed: Mapping[str, str]) -> None:
    """Refuse a key that does two things where one of them was not so by default."""
    users: dict[str, list[Action]] = defaultdict(list)
    for action in ACTIONS:
        if action.screen in screens:
            for key in changed.get(action.id, action.keys).split(","):
                users[key].append(action)
    for key, actions in users.items():
        mine = [each for each in actions if each.id in changed and key not in _defaults(each)]
        others = [action for action in actions if action.does != mine[0].does] if mine else []
        if others:
            raise BuildpermError(
                f"keys.{mine[0].id}: `{key}` is the key of {others[0].id} ({others[0].label})",
                hint="Choose another key."
                if not others[0].told
                else f"Choose another key, or give {others[0].id} one as well.",
            )


def _defaults(action: Action) -> set[str]:
    return {*action.keys.split(",")}


def _suggestion(identifier: str) -> str:
    known = [action.id for action in ACTIONS if action.told]
    near = get_close_matches(identifier, known, 1)
    if near:
        return f"Did you mean `{near[0]}`?"
    return "`buildperm config --example` lists every action."
