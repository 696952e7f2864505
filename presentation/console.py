"""Lines on the standard streams: results on standard output, messages on standard error.

Every line is made printable here, whoever calls, and is broken between words on a terminal.
"""

from __future__ import annotations

import os
import sys
from typing import Final, Literal

from buildperm.presentation.line_layout import columns_of, laid_out
from buildperm.printable import log_line

Emphasis = Literal["bold", "red", "green"]

_CODES: Final[dict[Emphasis, int]] = {"bold": 1, "red": 31, "green": 32}  # ECMA-48, "SGR".

_held: list[tuple[str, bool]] | None = None
"""What waits until no screen has the terminal, and whether it is a result; None without one."""


def is_dumb() -> bool:
    """Tell whether the terminal can do no more than print lines: it moves no cursor."""
    return os.environ.get("TERM", "") in {"dumb", "unknown"}


def has_colour() -> bool:
    """Tell whether a terminal is to be sent colours: https://no-color.org."""
    return not os.environ.get("NO_COLOR") and not is_dumb()


def print_line(line: str, *, emphasis: Emphasis | None = None) -> None:
    """Print a line of the result; emphasis is for a terminal only."""
    text = laid_out(log_line(line), columns_of(sys.stdout))
    if emphasis is not None and sys.stdout.isatty() and has_colour():
        text = f"\x1b[{_CODES[emphasis]}m{text}\x1b[0m"
    write(f"{text}\n")


def print_message(line: str) -> None:
    """Print a message."""
    _put(f"{laid_out(log_line(line), columns_of(sys.stderr))}\n", is_result=False)


def print_warning(line: str) -> None:
    """Print a warning: something may make the result wrong."""
    print_message(f"warning: {line}")


def write(text: str) -> None:
    """Write text as it is: a diff, or what was made printable before."""
    _put(text, is_result=True)


def hold() -> None:
    """Keep what is written for later: a screen has the terminal."""
    global _held
    _held = _held or []


def release() -> None:
    """Write what was kept, in its order, and go on writing at once."""
    global _held
    kept, _held = _held or [], None
    for text, is_result in kept:
        _put(text, is_result=is_result)


def _put(text: str, *, is_result: bool) -> None:
    if _held is not None:
        _held.append((text, is_result))
        return
    stream = sys.stdout if is_result else sys.stderr
    stream.write(text)
    stream.flush()
