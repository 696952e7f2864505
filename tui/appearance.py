"""How the screens look and which keys work there: what a person prefers, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from textual.theme import BUILTIN_THEMES, Theme

from buildperm.errors import BuildpermError
from buildperm.tui.keymap import keymap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildperm.presentation.preferences import PreferencesFile

HIGH_CONTRAST: Final = Theme(
    name="high-contrast",
    primary="#00d7ff",
    secondary="#ffffff",
    accent="#ffff00",
    warning="#ffd700",
    error="#ffa0a0",
    success="#5fff5f",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#303030",
    dark=True,
    text_alpha=1.0,
    variables={
        "text-muted": "#d0d0d0",
        "text-primary": "#5fd7ff",
        "text-accent": "#ffff00",
        "text-warning": "#ffd700",
        "text-error": "#ffa0a0",
        "text-success": "#5fff5f",
        "primary-muted": "#002b55",
        "block-cursor-background": "#ffff00",
        "block-cursor-foreground": "#000000",
        "footer-key-foreground": "#ffff00",
        "footer-description-foreground": "#ffffff",
    },
)
"""Bright letters on black: each has at least seven times the luminance of its ground."""

THEMES: Final = {HIGH_CONTRAST.name: HIGH_CONTRAST, **BUILTIN_THEMES}
"""The themes that there are, by name."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """How the screens look; as built in unless told."""

    theme: str = ""  # By name; empty for Textual's own choice.
    keys: Mapping[str, str] = field(default_factory=dict)  # By the id of an action.
    is_ascii_only: bool = False
    has_mouse: bool = True

    @classmethod
    def of(cls, file: PreferencesFile, *, is_ascii_only: bool = False) -> Appearance:
        """Take what a person prefers.

        Raises:
            BuildpermError: There is no such theme, action or key, or one key would do two things.
        """
        preferences = file.preferences
        if preferences.theme and preferences.theme not in THEMES:
            near = get_close_matches(preferences.theme, THEMES, 1)
            known = ", ".join(sorted(THEMES))
            raise file.problem(
                f"theme: there is no `{preferences.theme}`",
                f"Did you mean `{near[0]}`?" if near else f"There is: {known}.",
            )
        try:
            keys = keymap(preferences.keys)
        except BuildpermError as error:
            raise file.problem(error.args[0], error.hint) from error
        return cls(
            preferences.theme,
            keys,
            is_ascii_only=is_ascii_only,
            has_mouse=preferences.mouse,
        )
