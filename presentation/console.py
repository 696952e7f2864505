"""Lines on the standard streams: data on standard output, talk on standard error.

Whatever others have named is fit for a terminal here, whoever calls.
"""

from __future__ import annotations

import sys
from typing import Final, Literal

from buildperm.printable import log_line

Emphasis = Literal["bold", "red", "green"]

_CODES: Final[dict[Emphasis, int]] = {"bold": 1, "red": 31, "green": 32}  # ECMA-48, "SGR".


def print_line(line: str, *, emphasis: Emphasis | None = None) -> None:
    """Write a line of data; emphasis is for a terminal only."""
    text = log_line(line)
    if emphasis is not None and sys.stdout.isatty():
        text = f"\x1b[{_CODES[emphasis]}m{text}\x1b[0m"
    write(f"{text}\n")


def print_message(line: str) -> None:
    """Write a line of talk."""
    sys.stderr.write(f"{log_line(line)}\n")
    sys.stderr.flush()


def print_warning(line: str) -> None:
    """Write a line of talk about what may make the data wrong."""
    print_message(f"warning: {line}")


def write(text: str) -> None:
    """Write data as it is: a diff, or what was made fit before."""
    sys.stdout.write(text)
    sys.stdout.flush()
