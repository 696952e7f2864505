"""The edit of Cargo.toml on two sheets: its hunks, and the same in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from buildperm.policy.proposal import Risk
from buildperm.presentation.edit_hunks import WHOLE_CRATE
from buildperm.presentation.wording import risk_word
from buildperm.tui.widgets.styled_line import Line, Piece, hanging, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from buildperm.presentation.edit_hunks import Edit, EditHunk
    from buildperm.presentation.edit_sentences import EditSentence

CURSOR: Final = "▌"
"""Stands before the lines of the hunk that keys are about."""


def edit_lines(edit: Edit, current: EditHunk | None, cells: int) -> Iterator[Line]:
    """Yield the diff; a line that belongs to a hunk has the hunk's index as its target."""
    numbers = {each: number for number, each in enumerate(edit.hunks)}
    for index, text in enumerate(edit.lines.lines):
        mark = text[:1]
        if mark == "@":
            yield Line((("  ", ""), (text, "hunk")))
            continue
        hunk = edit.hunk_at(index)
        tone = _tone(mark, hunk)
        lead: tuple[Piece, ...] = (
            (CURSOR if _is_marked(hunk, current) else " ", "accent"),
            (f"{mark} ", tone),
        )
        target = numbers[hunk] if hunk is not None else None
        yield from hanging(lead, text[1:], tone, cells, target=target)
    for note in edit.lines.notes:
        yield from hanging(((" ~ ", "waiting"),), note, "waiting", cells)


def sentence_lines(
    edit: Edit, sentences: Sequence[EditSentence], current: EditHunk | None, cells: int
) -> Iterator[Line]:
    """Yield what changes in plain words; what the current hunk means stands out."""
    for sentence in sentences:
        found = (each for each in edit.hunks if _means(each, sentence))
        hunk = next(found, None)
        is_current = current is not None and _means(current, sentence)
        mark, text = sentence.text[:1], sentence.text[2:]
        lead: tuple[Piece, ...] = (
            (CURSOR if is_current else " ", "accent"),
            (f"{mark} ", _tone(mark, hunk)),
        )
        target = edit.hunks.index(hunk) if hunk is not None else None
        yield from hanging(lead, text, "strong" if is_current else "", cells, target=target)
    if not sentences:
        for part in wrap("No grant and no denial changes.", cells):
            yield Line(((part, "muted"),))


def _is_marked(hunk: EditHunk | None, current: EditHunk | None) -> bool:
    if hunk is None or current is None:
        return False
    return hunk == current or (current.field == WHOLE_CRATE and hunk.crate == current.crate)


def _means(hunk: EditHunk, sentence: EditSentence) -> bool:
    return hunk.crate == sentence.crate and hunk.field in (WHOLE_CRATE, sentence.field)


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
