"""The line on top: how much is decided, and the risk of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from buildperm.policy.proposal import Risk
from buildperm.presentation.wording import GLYPHS, risk_word
from buildperm.tui.widgets.styled_line import Line, Piece

if TYPE_CHECKING:
    from buildperm.policy.decision import Counts

_SEPARATOR: Final[Piece] = (" · ", "muted")


def count_line(counts: Counts, heading: str, summary: str, cells: int) -> Line:
    """Return the header; where there is no room whole facts are left out, in the same words."""
    brand: tuple[Piece, ...] = ((" buildperm ", "title"),)
    headed: tuple[Piece, ...] = ((f" {heading}", "title" if summary else "muted"),)
    edge: Piece = (" ", "")
    told = _told(summary.removesuffix("."))
    clause = _told(summary.removesuffix(".").partition(":")[0])
    left, answers, risks = _left(counts), _answers(counts), _risks(counts)
    candidates = (
        Line((*brand, *headed, *told), (*left, *answers, *risks)),
        Line((*headed, *told), (*left, *answers, *risks)),
        Line((*headed, *told), (*left, *risks)),
        Line((edge, *told[1:]), (*left, *risks)),
        Line((edge, *told[1:]), risks),
        Line((edge, *clause[1:]), risks),
    )
    fitting = (line for line in candidates if line.cells <= cells)
    return next(fitting, candidates[-1])


def _told(summary: str) -> tuple[Piece, ...]:
    return (("   ", ""), (summary, "strong")) if summary else ()


def _left(counts: Counts) -> tuple[Piece, ...]:
    return (f"{counts.open:,} undecided", "strong"), _SEPARATOR


def _answers(counts: Counts) -> tuple[Piece, ...]:
    return (
        (f"{counts.allowed:,} allowed", "" if counts.allowed else "muted"), _SEPARATOR,
        (f"{counts.denied:,} denied", "bad" if counts.denied else "muted"), _SEPARATOR,
    )  # fmt: skip


def _risks(counts: Counts) -> tuple[Piece, ...]:
    """Count the undecided proposals by risk."""
    pieces: list[Piece] = []
    for risk in sorted(Risk, reverse=True):
        count = counts.open_by_risk[risk]
        pieces += [(f"{GLYPHS[risk]}{count:,}", risk_word(risk) if count else "muted"), (" ", "")]
    return tuple(pieces)
