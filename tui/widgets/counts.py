"""The line on top: how much is decided, and the risk of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from buildperm.policy.decision import Answer
from buildperm.policy.proposal import Risk
from buildperm.presentation.wording import ANSWER_GLYPHS, GLYPHS, risk_word
from buildperm.tui.widgets.styled_line import Line, Piece

if TYPE_CHECKING:
    from buildperm.policy.decision import Counts

_SEPARATOR: Final[Piece] = (" · ", "muted")


def count_line(counts: Counts, heading: str, summary: str, cells: int) -> Line:
    """Return the header; with a summary the rest gets shorter until everything fits.

    Without one the heading gives way where there is no room.
    """
    brand: tuple[Piece, ...] = ((" buildperm ", "title"), (heading, "muted"))
    if not summary:
        return Line(brand, _counts(counts))
    told: Piece = (summary.removesuffix("."), "strong")
    clause: Piece = (summary.removesuffix(".").partition(":")[0], "strong")
    gap: Piece = ("   ", "")
    edge: Piece = (" ", "")
    headed: tuple[Piece, ...] = ((f" {heading}", "title"), gap)
    candidates = (
        Line((*brand, gap, told), _counts(counts)),
        Line((*headed, told), _counts(counts)),
        Line((*headed, told), (*_left(counts), *_answers(counts), *_risks(counts))),
        Line((*headed, told), (*_left(counts), *_risks(counts))),
        Line((edge, told), (*_left(counts), *_risks(counts))),
        Line((edge, told), _risks(counts)),
        Line((edge, clause), _risks(counts)),
    )
    fitting = (line for line in candidates if line.cells <= cells)
    return next(fitting, candidates[-1])


def _counts(counts: Counts) -> tuple[Piece, ...]:
    """Say in words what has been answered and what has not."""
    return (
        (f"undecided {counts.open}", "strong"), _SEPARATOR,
        (f"allow {counts.allowed}", "good" if counts.allowed else "muted"), _SEPARATOR,
        (f"deny {counts.denied}", "bad" if counts.denied else "muted"), _SEPARATOR,
        *_risks(counts),
    )  # fmt: skip


def _left(counts: Counts) -> tuple[Piece, ...]:
    return ((f"{counts.open} left ", "strong"),)


def _answers(counts: Counts) -> tuple[Piece, ...]:
    return (
        (f"{ANSWER_GLYPHS[Answer.ALLOW]}{counts.allowed} ", "good" if counts.allowed else "muted"),
        (f"{ANSWER_GLYPHS[Answer.DENY]}{counts.denied} ", "bad" if counts.denied else "muted"),
    )


def _risks(counts: Counts) -> tuple[Piece, ...]:
    """Count the undecided proposals by risk."""
    pieces: list[Piece] = []
    for risk in sorted(Risk, reverse=True):
        count = counts.open_by_risk[risk]
        pieces += [(f"{GLYPHS[risk]}{count}", risk_word(risk) if count else "muted"), (" ", "")]
    return tuple(pieces)
