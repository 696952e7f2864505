"""The theme of high contrast keeps its promise; the others are there by name."""

from __future__ import annotations

import pytest
from textual.color import Color

from buildperm.tui.appearance import HIGH_CONTRAST, THEMES

LEAST = 7.0  # Level AAA of the Web Content Accessibility Guidelines, 1.4.6.
GROUNDS = ("background", "surface", "primary-muted")
LETTERS = ("foreground", "text-muted", "text-primary", "text-accent", "text-warning", "text-error",
           "text-success")  # fmt: skip


def luminance(color: Color) -> float:
    """Return the relative luminance, as those guidelines define it."""
    parts = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in color.normalized
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: Color, other: Color) -> float:
    """Return the ratio of contrast of two colours."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("letters", LETTERS)
def test_all_letters_stand_out_from_every_ground(ground: str, letters: str) -> None:
    colors = HIGH_CONTRAST.to_color_system().generate()

    ratio = contrast(Color.parse(colors[ground]), Color.parse(colors[letters]))

    assert ratio >= LEAST, f"{letters} on {ground}: {ratio:.1f}"


def test_the_head_of_each_screen_is_readable_too() -> None:
    colors = HIGH_CONTRAST.to_color_system().generate()
    panel = Color.parse(colors["panel"])

    assert contrast(panel, Color.parse(colors["foreground"])) >= LEAST
    assert contrast(panel, Color.parse(colors["text-muted"])) >= LEAST


def test_what_documents_name_is_there() -> None:
    assert {"high-contrast", "textual-light", "textual-dark", "nord"} <= set(THEMES)
