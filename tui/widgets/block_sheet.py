"""A sheet of wrapped texts that are made when they come into view: thousands cost like ten."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from buildperm.tui.widgets.sheet import Sheet
from buildperm.tui.widgets.styled_line import Line, Piece, hanging, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class Block:
    """A text that is wrapped, the first line behind `lead` and the others below its first word."""

    lead: tuple[Piece, ...] = ()
    text: str = ""
    tone: str = ""

    def lines(self, cells: int) -> tuple[Line, ...]:
        """Return its lines."""
        return tuple(hanging(self.lead, self.text, self.tone, cells))

    def height(self, cells: int) -> int:
        """Return how many lines it takes, without making them."""
        room = cells - sum(cell_len(text) for text, _ in self.lead)
        return sum(1 for _ in wrap(self.text, room))


class BlockSheet(Sheet):
    """Shows texts one below the other."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._blocks: list[Block] = []
        self._coming: Iterator[Block] = iter(())  # Those that have still to be taken.
        self._cells = -1  # The width that `_starts` holds for.
        self._starts: list[int] = []  # The first line of each block, as far as they are counted.
        self._total = 0
        self._at_least = 0  # How many texts there are.
        self._is_whole = True  # All of them are taken.

    def show(self, blocks: Iterable[Block], *, at_least: int = 0) -> None:
        """Show other texts, from the first on; those far below are not taken before they are near.

        Args:
            blocks: The texts; made when they are wanted.
            at_least: How many there are, if that is known; there may be more.
        """
        self._blocks, self._coming, self._cells = [], iter(blocks), -1
        self._at_least, self._is_whole = at_least, False
        self.scroll_to(y=0, animate=False, force=True, immediate=True)
        self._take(self.size.height or self.app.size.height)
        self.relay()

    @property
    def line_count(self) -> int:
        """The number of lines as far as it is known; before layout the number of texts."""
        cells = self.scrollable_content_region.width
        return self.count(cells) if cells > 0 else len(self._blocks) + self._untaken

    def count(self, cells: int) -> int:
        """Return the number of lines; count them anew if the width has changed.

        Each text that is not taken yet counts as one line.
        """
        if cells != self._cells:
            self._cells, self._starts, self._total = cells, [], 0
        if cells > 0:
            for block in islice(self._blocks, len(self._starts), None):
                self._starts.append(self._total)
                self._total += block.height(cells)
        return self._total + self._untaken

    def line(self, number: int, cells: int) -> Line:
        """Return line `number`."""
        self.count(cells)
        if number >= self._total and not self._is_whole:
            while number + self.size.height >= self._total and self._take(_AT_ONCE):
                self.count(cells)
            self.call_after_refresh(self.relay)  # There may be more lines than it seemed.
        if number >= self._total:
            return Line()
        at = bisect_right(self._starts, number) - 1
        return self._blocks[at].lines(cells)[number - self._starts[at]]

    def action_scroll_end(self) -> None:
        """Go to the last line, for which all texts have to be there."""
        while self._take(_AT_ONCE):
            pass
        self.relay()
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True, immediate=True)

    @property
    def _untaken(self) -> int:
        """How many texts are not taken yet, at least."""
        return 0 if self._is_whole else max(self._at_least - len(self._blocks), 1)

    def _take(self, count: int) -> bool:
        """Take some more texts; tell whether there were any."""
        more = [*islice(self._coming, count)]
        self._blocks += more
        self._is_whole = len(more) < count
        return bool(more)
