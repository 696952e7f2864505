"""Draws with ASCII only: what widgets of Textual use besides becomes a letter of the same width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.segment import Segment
from textual.filter import LineFilter

if TYPE_CHECKING:
    from textual.color import Color

_HORIZONTAL: Final = "─━═╌╍┄┅▔▁╴╶╸╺"
_VERTICAL: Final = "│┃║╎╏▏▎▍▌▐▕"
_CORNERS: Final = "┌┐└┘├┤┬┴┼╭╮╰╯╔╗╚╝┏┓┗┛┣┫┳┻╋▛▜▙▟▗▖▘▝"
_SOLID: Final = "█▉▊▋▂▃▄▅▆▇▀▓▒░"
_SIGNS: Final = {
    "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}": ">", "\N{MULTIPLICATION SIGN}": "x",
    "…": "~", "→": ">", "←": "<", "↑": "^", "↓": "v", "⏎": "<", "⌫": "<", "✓": "v", "✗": "x",
    "▸": "+", "▾": "-", "▶": ">", "▼": "v", "●": "*", "○": "o", "◆": "*", "·": "-", "•": "*",
    "\u00a0": " ",
}  # fmt: skip
_TABLE: Final = str.maketrans(
    {
        **dict.fromkeys(_HORIZONTAL, "-"),
        **dict.fromkeys(_VERTICAL, "|"),
        **dict.fromkeys(_CORNERS, "+"),
        **dict.fromkeys(_SOLID, "#"),
        **_SIGNS,
    }
)


class AsciiFilter(LineFilter):
    """Writes every cell of a line in ASCII; widths stay as they are."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments in ASCII."""
        return [
            segment
            if segment.text.isascii()
            else Segment(in_ascii(segment.text), segment.style, segment.control)
            for segment in segments
        ]


def in_ascii(text: str) -> str:
    """Return text of the same width in ASCII."""
    return "".join(
        each if each.isascii() else "?" * cell_len(each) for each in text.translate(_TABLE)
    )
