"""The edit of Cargo.toml on two sheets: its hunks, and the same in plain words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from buildperm.policy.proposal import Risk
from buildperm.presentation.edit_hunks import WHOLE_CRATE
from buildperm.presentation.wording import risk_word
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.styled_line import Line, Piece, hanging, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from buildperm.presentation.edit_hunks import Edit, EditHunk
    from buildperm.presentation.edit_sentences import EditSentence

CURSOR: Final = "▌"
"""Stands before the lines of the hunk that keys are about."""


class HunkPage(Page):
    """A page whose lines belong to hunks: those of the current one are marked as they are drawn."""

    _marked: frozenset[int] = frozenset()

    def mark(self, hunks: frozenset[int], current: int) -> None:
        """Mark the lines of some hunks, and bring the first one of `current` into view."""
        self._marked = hunks
        self.refresh()
        cells = self.scrollable_content_region.width
        for number in range(self.count(cells)):
            if super().line(number, cells).target == current:
                top = self.scroll_offset.y
                if not top <= number < top + self.size.height:
                    self.scroll_to(y=max(number - 2, 0), animate=False)
                return

    def line(self, number: int, cells: int) -> Line:
        """Return line `number`."""
        line = super().line(number, cells)
        if line.target is None or line.target not in self._marked:
            return line
        return replace(line, left=((CURSOR, "accent"), *line.left[1:]))


def edit_lines(edit: Edit, cells: int) -> Iterator[Line]:
    """Yield the diff; a line that belongs to a hunk has the hunk's index as its target."""
    for index, text in enumerate(edit.lines.lines):
        mark = text[:1]
        if mark == "@":
            yield Line((("  ", ""), (text, "hunk")))
            continue
        target = edit.by_line.get(index)
        tone = _tone(mark, edit.hunks[target] if target is not None else None)
        lead: tuple[Piece, ...] = ((" ", ""), (f"{mark} ", tone))
        yield from _marked(hanging(lead, text[1:], tone, cells, target=target))
    for note in edit.lines.notes:
        yield from hanging(((" ~ ", "waiting"),), note, "waiting", cells)


def sentence_lines(edit: Edit, sentences: Sequence[EditSentence], cells: int) -> Iterator[Line]:
    """Yield what changes in plain words, each with the index of its hunk as its target."""
    places = {(each.crate, each.field): number for number, each in enumerate(edit.hunks)}
    for sentence in sentences:
        target = places.get((sentence.crate, sentence.field))
        if target is None:
            target = places.get((sentence.crate, WHOLE_CRATE))
        mark, text = sentence.text[:1], sentence.text[2:]
        tone = _tone(mark, edit.hunks[target] if target is not None else None)
        lead: tuple[Piece, ...] = ((" ", ""), (f"{mark} ", tone))
        yield from _marked(hanging(lead, text, "", cells, target=target))
    if not sentences:
        for part in wrap("No grant and no denial changes.", cells):
            yield Line(((part, "muted"),))


def _marked(lines: Iterator[Line]) -> Iterator[Line]:
    """Give the further lines of a wrapped one a first cell of their own, for the cursor."""
    for number, line in enumerate(lines):
        if number:
            blank, tone = line.left[0]
            line = replace(line, left=((" ", ""), (blank[1:], tone), *line.left[1:]))
        yield line


def _tone(mark: str, hunk: EditHunk | None) -> str:
    """Green is for what is safe: what a risky grant adds has the colour of its risk."""
    match mark:
        case "+" if hunk is not None and hunk.risk > Risk.LOW:
            return risk_word(hunk.risk)
        case "+":
            return "added"
        case "-":
            return "removed"
        case _:
            return "muted"
