"""The pictures of one story in one picture: each is shown for a while, with a line that tells it.

An SVG that moves by its own style sheet, as viewers of a README allow. It asks nobody for anything.
Where nothing may move, or nothing can, the first picture stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS: Final = 6
"""For which each picture is shown."""

FRAME: Final = '<g class="frame'
"""How each picture begins in the whole."""

_VIEW: Final = re.compile(r'<svg[^>]* viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>')
_FONT_FACE: Final = re.compile(r"@font-face\s*\{[^}]*\}")
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_WIDTH: Final = 1000
_HEAD: Final = 92  # Height of the lines above a picture.


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of the story."""

    command: str  # What was typed.
    caption: str
    svg: str  # As rich and textual export it.


def animate(frames: Sequence[Frame]) -> str:
    """Return all pictures as one that shows them in turn."""
    height = max(_HEAD + _WIDTH * tall / wide for wide, tall in map(_size, frames))
    share = 100 / len(frames)
    style = (
        ".frame{visibility:hidden}.first{visibility:visible}"
        f"@media (prefers-reduced-motion: no-preference){{.frame{{animation:shown "
        f"{SECONDS * len(frames)}s steps(1,end) infinite}}.first{{visibility:hidden}}}}"
        f"@keyframes shown{{0%{{visibility:visible}}{share:.4f}%{{visibility:hidden}}"
        "100%{visibility:hidden}}"
        "text.said{font:600 24px system-ui,'DejaVu Sans',sans-serif;fill:#e6edf3}"
        "text.told{font:20px system-ui,'DejaVu Sans',sans-serif;fill:#c9d1d9}"
        "circle{fill:#484f58}circle.now{fill:#58a6ff}"
    )
    drawn = "".join(_frame(frames, number) for number in range(len(frames)))
    told = "; ".join(f"{number}. {each.caption}" for number, each in enumerate(frames, 1))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(told)}"><style>{style}</style>'
        f'<rect width="{_WIDTH}" height="{height:.0f}" rx="10" fill="#0d1117"/>{drawn}</svg>\n'
    )


def _frame(frames: Sequence[Frame], number: int) -> str:
    frame = frames[number]
    wide, tall = _size(frame)
    inner = _FONT_FACE.sub("", _COMMENT.sub("", frame.svg))
    inner = _VIEW.sub(
        f'<svg x="0" y="{_HEAD}" width="{_WIDTH}" height="{_WIDTH * tall / wide:.0f}" '
        f'viewBox="0 0 {wide:g} {tall:g}">',
        inner,
        count=1,
    )
    dots = "".join(
        f'<circle cx="{_WIDTH - 24 * (len(frames) - at)}" cy="30" r="6"'
        f"{' class=' + chr(34) + 'now' + chr(34) if at == number else ''}/>"
        for at in range(len(frames))
    )
    first = " first" if number == 0 else ""
    return (
        f'{FRAME}{first}" style="animation-delay:{number * SECONDS}s">'
        f'<text class="said" x="24" y="38">$ {escape(frame.command)}</text>{dots}'
        f'<text class="told" x="24" y="72">{escape(frame.caption)}</text>{inner.strip()}</g>'
    )


def _size(frame: Frame) -> tuple[float, float]:
    found = _VIEW.search(frame.svg)
    assert found is not None, frame.svg[:200]
    return float(found[1]), float(found[2])
