"""A page: a sheet whose lines depend on its width."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from buildperm.tui.widgets.sheet import Sheet
from buildperm.tui.widgets.styled_line import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Writer: TypeAlias = Callable[[int], Iterable[Line]]


class Page(Sheet):
    """Shows the lines that a writer makes for its width."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._writer: Writer = lambda cells: ()
        self._written_cells = -1
        self._written: tuple[Line, ...] = ()

    def show(self, writer: Writer, *, from_top: bool = True) -> None:
        """Show what `writer` makes for this width, from its first line on."""
        self._writer, self._written_cells = writer, -1
        if from_top:
            self.scroll_to(y=0, animate=False, force=True, immediate=True)
        self.relay()

    @property
    def line_count(self) -> int:
        """The number of lines at the present width, or at a common one before layout."""
        return self.count(self.scrollable_content_region.width or 60)

    def count(self, cells: int) -> int:
        """Return the number of lines; make them anew if the width has changed."""
        if cells <= 0:  # Not laid out yet: to wrap for no width makes a line of each word.
            return 0
        if cells != self._written_cells:
            self._written_cells, self._written = cells, tuple(self._writer(cells))
        return len(self._written)

    def line(self, number: int, cells: int) -> Line:
        """Return line `number`."""
        return self._written[number]
