"""A list with a cursor: lines that somebody can go to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.message import Message

from buildperm.tui.key_bindings import bindings
from buildperm.tui.widgets.sheet import Sheet, edge_text
from buildperm.tui.widgets.styled_line import Line

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.binding import BindingType


class CursorList(Sheet, can_focus=True):
    """Lines made when they come into view, one of which the cursor is on."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("list")

    @dataclass
    class CursorMoved(Message):
        """The cursor stands on another line."""

        list: CursorList

        @property
        def control(self) -> CursorList:
            """The list, so that handlers can select it."""
            return self.list

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._count = 0
        self._make: Callable[[int], Line] = lambda number: Line()
        self.cursor = 0
        """The line that the cursor is on."""

    def show(self, count: int, make: Callable[[int], Line], *, cursor: int = 0) -> None:
        """Show so many lines, with the cursor on one of them.

        Args:
            count: How many.
            make: Makes one of them.
            cursor: Where the cursor goes.
        """
        self._count, self._make = count, make
        self.relay()
        self.go(cursor)

    def go(self, number: int) -> None:
        """Move the cursor to a line, or as near as there are lines."""
        self.cursor = min(max(number, 0), max(self._count - 1, 0))
        top, height = self.scroll_offset.y, self.scrollable_content_region.height
        if height and not top <= self.cursor < top + height:
            above = self.cursor if self.cursor < top else self.cursor - height + 1
            self.scroll_to(y=above, animate=False, force=True, immediate=True)
        self.redraw()
        self.post_message(self.CursorMoved(self))

    def count(self, cells: int) -> int:
        """Return how many lines there are."""
        del cells
        return self._count

    def line(self, number: int, cells: int) -> Line:
        """Return line `number`, which a click goes to."""
        del cells
        made = self._make(number)
        return Line(made.left, made.right, number)

    def tone_of(self, number: int) -> str:
        """Lay the line of the cursor on a ground of its own."""
        return "cursor" if number == self.cursor else ""

    def action_move(self, by: int) -> None:
        """Move the cursor by lines."""
        self._go_by_key(self.cursor + by, by)

    def action_page(self, by: int) -> None:
        """Move the cursor by pages."""
        height = self.scrollable_content_region.height
        self._go_by_key(self.cursor + by * max(height - 1, 1), by)

    def action_go(self, at: int) -> None:
        """Go to the first line, or with -1 to the last."""
        self._go_by_key(at if at >= 0 else self._count - 1, -1 if at >= 0 else 1)

    def _go_by_key(self, number: int, by: int) -> None:
        before = self.cursor
        self.go(number)
        if self.cursor == before:
            self.post_message(self.Unmoved(edge_text(self._count, by)))

    @on(Sheet.Clicked)
    def _go_to_clicked(self, clicked: Sheet.Clicked) -> None:
        self.focus()
        self.go(clicked.target)
