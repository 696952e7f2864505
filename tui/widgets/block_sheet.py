"""A sheet of wrapped texts that are wrapped when they come into view: thousands cost like ten."""

from __future__ import annotations

import time
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
_AT_ONCE_S: Final = 0.01
"""How long texts are taken before anything else happens: more would delay the answer to a key."""


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

    def show(self, blocks: Iterable[Block]) -> None:
        """Show other texts, from the first on; where there are many, some come a little later."""
        self._blocks, self._coming, self._cells = [], iter(blocks), -1
        self.scroll_to(y=0, animate=False, force=True, immediate=True)
        self._take_more()

    @property
    def line_count(self) -> int:
        """The number of lines so far; before layout the number of texts."""
        cells = self.scrollable_content_region.width
        return self.count(cells) if cells else len(self._blocks)

    def count(self, cells: int) -> int:
        """Return the number of lines; count them anew if the width has changed."""
        if cells != self._cells:
            self._cells, self._starts, self._total = cells, [], 0
        if cells > 0:
            for block in islice(self._blocks, len(self._starts), None):
                self._starts.append(self._total)
                self._total += block.height(cells)
        return self._total

    def line(self, number: int, cells: int) -> Line:
        """Return line `number`."""
        self.count(cells)
        at = bisect_right(self._starts, number) - 1
        return self._blocks[at].lines(cells)[number - self._starts[at]]

    def _take_more(self) -> None:
        until_s = time.monotonic() + _AT_ONCE_S
        more = [*islice(self._coming, _AT_ONCE)]
        self._blocks += more
        while len(more) == _AT_ONCE and time.monotonic() < until_s:
            more = [*islice(self._coming, _AT_ONCE)]
            self._blocks += more
        self.relay()
        if len(more) == _AT_ONCE:
            self.call_after_refresh(self._take_more)
