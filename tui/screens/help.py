"""Every key of the screen below, with what it does; and the words that screens use."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.containers import Vertical
from textual.content import Content

from buildperm.presentation.glossary import GLOSSARY
from buildperm.tui.key_bindings import bindings
from buildperm.tui.key_names import key_name, with_keys
from buildperm.tui.screens.dialog import Dialog
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.sheet import Sheet
from buildperm.tui.widgets.styled_line import Line, Piece, hanging

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from buildperm.tui.key_bindings import Action

_KEYS_CELLS = 14


class HelpScreen(Dialog["Action | None"]):
    """Lists keys; any of the keys that opened it closes it. Dismisses with what was clicked."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("help")

    def __init__(self, groups: Sequence[tuple[str, Sequence[tuple[str, Action]]]]) -> None:
        super().__init__()
        self._groups = groups  # By heading: keys as they are printed, and what they do.
        self._actions = [action for _, entries in groups for _, action in entries]

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        with Vertical(classes="dialog", id="help"):
            yield Page(id="help-keys")

    def on_mount(self) -> None:
        """List."""
        page = self.query_one(Page)
        page.border_title = "Keys and words"
        page.border_subtitle = Content(self._ways_on(""))
        page.show(self._lines)
        page.focus()

    def explain(self, reason: str) -> None:
        """Show why the latest key did nothing on the edge, until the next one."""
        self.query_one(Page).border_subtitle = Content(self._ways_on(reason))

    def _ways_on(self, reason: str) -> str:
        close = f"{key_name(self.app, 'help.back')} closes"
        return f"{reason} {close}" if reason else f"{close}, a click does it"

    def action_back(self) -> None:
        """Close."""
        self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        """Close where the line at the bottom says how."""
        if event.screen_y == self.query_one(Page).region.bottom - 1:
            self.action_back()

    @on(Sheet.Clicked)
    def _take_click(self, clicked: Sheet.Clicked) -> None:
        self.dismiss(self._actions[clicked.target])

    def _lines(self, cells: int) -> Iterator[Line]:
        numbers = count()
        for heading, entries in self._groups:
            if not entries:
                continue
            yield Line(((heading, "heading"),))
            for keys, action in entries:
                lead: Piece = (f"{keys:>{_KEYS_CELLS}}  ", "accent")
                yield from hanging((lead,), action.told, "", cells, target=next(numbers))
            yield Line()
        yield Line((("Words", "heading"),))
        for word, meaning in GLOSSARY:
            yield from hanging(((f"{word:>{_KEYS_CELLS}}  ", "strong"),), meaning, "", cells)
        yield Line()
        told = (
            "{review.open} only opens, {tree.mark} only marks, {review.back} only goes back: none "
            "of them decides."
        )
        lead = (" " * (_KEYS_CELLS + 2), "")
        yield from hanging((lead,), with_keys(self.app, told), "muted", cells)
