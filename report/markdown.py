"""Foreign text in Markdown (GFM): only ever as code, which no renderer looks into.

Outside of code almost everything has a meaning somewhere: links, mentions, references to issues,
pictures that are fetched when somebody looks, raw HTML.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from buildperm.printable import shortened

_BACKTICKS = re.compile("`+")


def code(text: str, most: int) -> str:
    """Write at most `most` characters of `text` as a code span (GFM 6.3)."""
    shown = shortened(text, most)
    if not shown.strip():
        return ""  # There is no code span of nothing.
    runs = {len(run) for run in _BACKTICKS.findall(shown)}
    fence = "`" * next(length for length in range(1, len(runs) + 2) if length not in runs)
    # One space inside is taken off again; without it the backticks would run together.
    padding = " " if shown[0] in " `" or shown[-1] in " `" else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


def cell(text: str, most: int) -> str:
    """Write `text` as a code span in a cell of a table, where a bar would end it (GFM 4.10)."""
    # A backslash before a bar would be read as one that is escaped itself.
    return code(text.replace("\\", "%5C"), most).replace("|", r"\|")


def block(lines: Iterable[str], most: int, *, language: str = "text") -> list[str]:
    """Write `lines`, each of at most `most` characters, as a fenced code block (GFM 4.5)."""
    shown = [shortened(line, most) for line in lines]
    longest = max((len(run) for line in shown for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", *shown, fence]


def inside_html(text: str, most: int) -> str:
    """Write `text` for the inside of an HTML element, where no Markdown is read."""
    return html.escape(shortened(text, most))
