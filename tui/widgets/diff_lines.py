"""Differences on a sheet: unified diffs, and the same in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.tui.widgets.styled_line import Line, Piece, hanging

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from buildperm.presentation.unified_diff import FileDiff, Hunks

_TONES = {"+": "added", "-": "removed", "@": "hunk"}


def hunk_lines(hunks: Hunks, cells: int) -> Iterator[Line]:
    """Yield a unified diff, long lines wrapped, and what it does not show."""
    for text in hunks.lines:
        mark = text[0]
        if mark == "@":
            yield Line(((text, "hunk"),))
            continue
        lead: tuple[Piece, ...] = ((f"{mark} ", _TONES.get(mark, "muted")),)
        yield from hanging(lead, text[1:], _TONES.get(mark, "muted"), cells)
    for note in hunks.notes:
        yield from hanging((("~ ", "waiting"),), note, "waiting", cells)


def file_lines(files: Sequence[FileDiff], cells: int) -> Iterator[Line]:
    """Yield the diffs of files, each below its name."""
    for number, file in enumerate(files):
        if number:
            yield Line()
        yield Line(((file.name, "heading"),), counted(file))
        yield from hunk_lines(file.hunks, cells)


def counted(file: FileDiff) -> tuple[Piece, ...]:
    """Say how many lines of a file were added and removed, and whether it is new or gone."""
    state: tuple[Piece, ...] = () if file.state == "changed" else ((f"{file.state}  ", "muted"),)
    return (*state, *balance_pieces(file.hunks.added, file.hunks.removed))


def balance_pieces(added: int, removed: int) -> tuple[Piece, ...]:
    """Say how many lines were added and removed."""
    return (
        (f"+{added}", "added" if added else "muted"),
        (f" -{removed}", "removed" if removed else "muted"),
    )
