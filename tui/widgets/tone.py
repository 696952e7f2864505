"""Tones: how pieces of text look on a sheet, styled once for the whole application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.style import Style

if TYPE_CHECKING:
    from textual.dom import DOMNode
    from textual.widget import Widget

_PREFIX: Final = "sheet--"
_TONES: Final = (
    "accent", "added", "bad", "critical", "cursor", "good", "heading", "high",
    "hunk", "low", "medium", "muted", "removed", "strong", "title", "waiting",
)  # fmt: skip
_GROUNDS: Final = {"cursor", "critical"}

TONE_CLASSES: Final = frozenset(f"{_PREFIX}{tone}" for tone in _TONES)
"""The component classes of an application that has sheets.

Textual styles every component of every widget each time that anything changes the screen's styles.
With the application it does so once a theme, and not for sixteen tones on each of many sheets.
"""


def styled_tones(widget: Widget) -> DOMNode | None:
    """Return what stands for the tones as they are styled now; None before that.

    It is another one after they have been styled again.
    """
    try:
        return widget.app.get_component_styles(f"{_PREFIX}{_TONES[0]}").node
    except KeyError:  # The first screen is styled before the application.
        return None


def tone_style(widget: Widget, base: Style, tone: str) -> Style:
    """Return how a tone looks on a widget, without the ground unless the tone is one.

    Args:
        widget: What the text stands on.
        base: The style of the widget itself.
        tone: One of those above.
    """
    styles = widget.app.get_component_styles(f"{_PREFIX}{tone}")
    _, ground = widget.background_colors
    if styles.has_rule("background"):
        ground += styles.background
    drawn = base + styles.text_style
    if styles.auto_color:
        letters = ground + ground.get_contrast_text(styles.color.a)
        drawn += Style.from_color(letters.rich_color)
    elif styles.has_rule("color"):
        drawn += Style.from_color((ground + styles.color).rich_color)
    if tone in _GROUNDS:
        return drawn + Style.from_color(None, ground.rich_color)
    return Style(color=drawn.color, bold=drawn.bold, italic=drawn.italic, reverse=drawn.reverse)
