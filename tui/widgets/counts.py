"""The line on top: how much is decided, and how grave the rest is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.policy.proposal import Risk
from buildperm.tui.widgets.line import Line, Piece
from buildperm.tui.wording import GLYPHS, risk_word

if TYPE_CHECKING:
    from buildperm.policy.decision import Counts


def count_line(counts: Counts, heading: str) -> Line:
    """Return the header; the heading gives way where there is no room."""
    separator: Piece = (" · ", "muted")
    right: list[Piece] = [
        (f"undecided {counts.open}", "strong"), separator,
        (f"allow {counts.allowed}", "good" if counts.allowed else "muted"), separator,
        (f"deny {counts.denied}", "bad" if counts.denied else "muted"), separator,
    ]  # fmt: skip
    for risk in sorted(Risk, reverse=True):
        count = counts.open_by_risk[risk]
        right += [(f"{GLYPHS[risk]}{count}", risk_word(risk) if count else "muted"), (" ", "")]
    return Line(((" buildperm ", "title"), (heading, "muted")), tuple(right))
