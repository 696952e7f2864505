"""Every key of the screen below, with what it does; and the words that screens use."""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, ClassVar, Final

from rich.cells import cell_len
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

_COLUMN_LEAST: Final = 52
"""Cells that a column of keys and sentences takes at least; a narrower one is read with effort."""

_GAP: Final = 4
_COLUMNS_MOST: Final = 3


class HelpScreen(Dialog["Action | None"]):
    """Lists keys; any of the keys that opened it closes it. Dismisses with what was clicked.

    Where there is room the sections stand in columns, so that more is seen at once.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("help")

    def __init__(self, groups: Sequence[tuple[str, Sequence[tuple[str, Action]]]]) -> None:
        super().__init__()
        self._groups = groups  # By heading: keys as they are printed, and what they do.
        self._actions = [action for _, entries in groups for _, action in entries]
        named = [keys for _, entries in groups for keys, _ in entries]
        self._lead_cells = max(map(cell_len, (*named, *(word for word, _ in GLOSSARY))))
        self._starts: tuple[int, ...] = (0,)  # The first cell of each column.
        self._targets: list[tuple[int | None, ...]] = []  # By line, then by column.

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
        """Do what the line says in the column that was clicked."""
        column = sum(clicked.column >= start for start in self._starts) - 1
        chosen = self._targets[clicked.target][max(column, 0)]
        if chosen is not None:
            self.dismiss(self._actions[chosen])

    def _lines(self, cells: int) -> Iterator[Line]:
        """Yield the sections, beside each other where there is room; each line knows its number."""
        columns = min(max((cells + _GAP) // (_COLUMN_LEAST + _GAP), 1), _COLUMNS_MOST)
        width = (cells + _GAP) // columns - _GAP
        sections = [[*lines, Line()] for lines in self._sections(width)]
        laid = _in_columns(sections, columns)
        self._starts = tuple(number * (width + _GAP) for number in range(len(laid)))
        self._targets = []
        for number, row in enumerate(zip_longest(*laid, fillvalue=Line())):
            self._targets.append(tuple(line.target for line in row))
            yield replace(_beside(row, width), target=number)

    def _sections(self, cells: int) -> Iterator[list[Line]]:
        first = 0
        for heading, entries in self._groups:
            if entries:
                yield [Line(((heading, "heading"),)), *self._entries(entries, first, cells)]
            first += len(entries)
        yield [Line((("Words", "heading"),)), *self._words(cells)]
        told = (
            "{review.open} only opens, {tree.mark} only marks, {review.back} only goes back: none "
            "of them decides."
        )
        lead = self._lead("", "")
        yield [*hanging((lead,), with_keys(self.app, told), "muted", cells)]

    def _entries(
        self, entries: Sequence[tuple[str, Action]], first: int, cells: int
    ) -> Iterator[Line]:
        for number, (keys, action) in enumerate(entries, first):
            lead = self._lead(keys, "accent")
            yield from hanging((lead,), action.told, "", cells, target=number)

    def _words(self, cells: int) -> Iterator[Line]:
        for word, meaning in GLOSSARY:
            yield from hanging((self._lead(word, "strong"),), meaning, "", cells)

    def _lead(self, text: str, tone: str) -> Piece:
        """Return what stands before a sentence, as wide before each of them."""
        return f"{' ' * (self._lead_cells - cell_len(text))}{text}  ", tone


def _in_columns(sections: Sequence[list[Line]], columns: int) -> list[list[Line]]:
    """Put whole sections into columns in their order, the highest column as low as it can be."""
    for most in range(max(map(len, sections)), sum(map(len, sections)) + 1):
        laid: list[list[Line]] = [[]]
        for section in sections:
            if laid[-1] and len(laid[-1]) + len(section) > most:
                laid.append([])
            laid[-1] += section
        if len(laid) <= columns:
            return laid
    return [[line for section in sections for line in section]]


def _beside(row: Sequence[Line], width: int) -> Line:
    """Put the lines of columns on one line."""
    pieces: list[Piece] = []
    for number, line in enumerate(row):
        pieces += line.left
        if number < len(row) - 1:
            pieces.append((" " * max(width + _GAP - line.cells, 1), ""))
    return Line(tuple(pieces))
