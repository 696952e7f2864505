"""Every key of the screen below, with what it does; and the words that screens use."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical
from textual.screen import ModalScreen

from buildperm.presentation.glossary import GLOSSARY
from buildperm.tui.key_bindings import bindings
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.styled_line import Line, hanging

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

_KEYS_CELLS = 14


class HelpScreen(ModalScreen[None]):
    """Lists keys; any of the keys that opened it closes it."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("help")

    def __init__(self, groups: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> None:
        super().__init__()
        self._groups = groups  # By heading: keys as they are printed, and what they do.

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        with Vertical(classes="dialog", id="help"):
            yield Page(id="help-keys")

    def on_mount(self) -> None:
        """List."""
        page = self.query_one(Page)
        page.border_title = "Keys and words"
        page.border_subtitle = "Esc closes"
        page.show(self._lines)
        page.focus()

    def action_back(self) -> None:
        """Close."""
        self.dismiss(None)

    def _lines(self, cells: int) -> Iterator[Line]:
        for heading, entries in self._groups:
            if not entries:
                continue
            yield Line(((heading, "heading"),))
            for keys, told in entries:
                yield from hanging(((f"{keys:>{_KEYS_CELLS}}  ", "accent"),), told, "", cells)
            yield Line()
        yield Line((("Words", "heading"),))
        for word, meaning in GLOSSARY:
            yield from hanging(((f"{word:>{_KEYS_CELLS}}  ", "strong"),), meaning, "", cells)
        yield Line()
        yield from hanging(
            ((" " * (_KEYS_CELLS + 2), ""),),
            "Enter only opens, Space only marks, Esc only goes back: none of them decides.",
            "muted",
            cells,
        )
