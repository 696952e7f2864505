"""Breaks a line between words, where a terminal would break it within one."""

from __future__ import annotations

import os
import re
from typing import TextIO

_FEWEST_COLUMNS = 20
"""Of a terminal that anything is laid out for."""

_PASTED = re.compile(r"""[\[\]{}"'|]|export |[\w."'-]+ = """)
"""How a line begins that is to be pasted, or is part of a table: TOML, JSON, sh."""

_PIECE = re.compile(r"`[^`]*`|[^ `]+|`| +")
"""A command in backquotes is one piece."""


def columns_of(stream: TextIO) -> int:
    """Return how wide the terminal behind a stream is, in cells; 0 where there is none."""
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):
        return 0


def laid_out(line: str, columns: int) -> str:
    """Write a printable line as several that fit, if it does not.

    What others have chosen never begins a line this way. What is too long for a whole line stays in
    one piece, for the terminal to break.

    Args:
        line: One line without its newline.
        columns: Of the terminal, in cells; 0: there is none, and the line stays as it is.
    """
    if columns < _FEWEST_COLUMNS or width(line) <= columns:
        return line
    indent = " " * min(len(line) - len(line.lstrip(" ")), columns // 2)
    if _PASTED.match(line.lstrip(" ")):
        return line
    lines, current, gap = [], "", line[: len(line) - len(line.lstrip(" "))]
    for word in _words(line.lstrip(" "), columns - len(indent) - 2):
        if word.isspace():
            gap = word
            continue
        if current.strip() and width(current + gap + word) > columns:
            lines.append(current)
            current, gap = f"{indent}  ", ""
        current, gap = current + gap + word, ""
    return "\n".join([*lines, current])


def width(text: str) -> int:
    """Return how many cells a printable text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _words(text: str, most: int) -> list[str]:
    """Take a text apart into words and gaps; what is in backquotes stays whole where it fits."""
    words = [""]
    for piece in _PIECE.findall(text):
        if piece.isspace() or words[-1].isspace():
            words.append(piece)
        else:
            words[-1] += piece
    return [
        part
        for word in words
        if word
        for part in ([word] if word.isspace() or width(word) <= most else re.split("( +)", word))
        if part
    ]
