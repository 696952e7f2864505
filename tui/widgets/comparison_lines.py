"""A comparison on a sheet: how what runs of a crate differs from its last review."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from buildperm.presentation import comparison_facts
from buildperm.printable import shown
from buildperm.tui.widgets.styled_line import Line, Piece, hanging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildperm.policy.comparison import Comparison

NEW_MARK: Final = "+ new"
"""Stands behind a crate that was never reviewed."""

_TONES: Final = {"+": "waiting", "-": "muted"}
"""What is new is no good news, and what is gone no bad one."""

_LABEL: Final = 7  # Cells: the longest label and a space.


def title_pieces(comparison: Comparison) -> tuple[Piece, ...]:
    """Name the crate and the versions that are compared."""
    pieces: tuple[Piece, ...] = (
        (shown(comparison.crate), "title"),
        (f" {comparison_facts.versions(comparison)}", "title"),
    )
    if comparison_facts.is_new(comparison):
        return (*pieces, ("  ", ""), (f"+ new {comparison_facts.what_text(comparison)}", "waiting"))
    return pieces


def origin_lines(comparison: Comparison, cells: int) -> Iterator[Line]:
    """Yield how the crate got into the graph and why it is reviewed again."""
    if comparison.way:
        yield from hanging((_label("way"),), comparison_facts.way_text(comparison), "", cells)
    lead = _label("cause")
    for cause in comparison.causes:
        yield from hanging((lead,), shown(cause), "", cells)
        lead = _label("")


def balance_pieces(comparison: Comparison) -> tuple[Piece, ...]:
    """Say how many accesses are new, gone and the same."""
    pieces: list[Piece] = []
    for mark, word, count in comparison_facts.balance(comparison):
        if pieces:
            pieces.append(("   ", ""))
        text = f"{mark} {count} {word}".lstrip()
        pieces.append((text, _TONES.get(mark, "muted") if count else "muted"))
    return tuple(pieces)


def summary_lines(comparison: Comparison, cells: int) -> Iterator[Line]:
    """Yield what a card says of a comparison."""
    yield from origin_lines(comparison, cells)
    yield Line((_label("seen"), *balance_pieces(comparison)))
    text = comparison_facts.sources_text(comparison).removeprefix("Sources: ")
    yield from hanging((_label("source"),), text, "", cells)
    yield Line((_label(""), ("o ", "accent"), ("shows all of it", "muted")))


def behaviour_lines(comparison: Comparison, cells: int) -> Iterator[Line]:
    """Yield each access behind `+`, `-` or nothing, the new ones first."""
    empty = True
    before = ""
    for mark, text in comparison_facts.behaviour(comparison):
        if not empty and mark != before:
            yield Line()
        empty, before = False, mark
        tone = _TONES.get(mark, "muted")
        yield from hanging(((f"{mark} ", tone),), text, tone, cells)
    if empty:
        yield from hanging(
            (), "Nothing beyond the baseline, neither now nor before.", "muted", cells
        )


def _label(text: str) -> Piece:
    return f"{text:<{_LABEL}}", "muted"
