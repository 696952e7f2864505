"""Lines in, lines out: what plain questions need of a terminal, even of a dumb one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TextIO

from buildperm.presentation.line_layout import columns_of, laid_out
from buildperm.printable import drawable

if sys.platform != "win32":
    import termios


class PromptEndedError(Exception):
    """The person has stopped answering."""


@dataclass(frozen=True, slots=True)
class PromptTerminal:
    """Where questions go and answers come from."""

    source: TextIO
    sink: TextIO

    @property
    def is_answered(self) -> bool:
        """Whether somebody is there who can answer."""
        return self.source.isatty()

    def print_lines(self, *lines: str) -> None:
        """Print lines."""
        columns = columns_of(self.sink)
        for line in lines:
            # The last guard, as in the screens.
            self.sink.write(f"{laid_out(drawable(line), columns)}\n")

    def answer(self, offered: str, *, flushing: bool) -> str:
        """Return one answer; where it matters, what was typed before the question is thrown away.

        Raises:
            PromptEndedError: The person has closed the terminal or pressed Ctrl+D.
        """
        if flushing:
            self._flush()
        self.sink.write(f"Answer ({offered}): ")
        self.sink.flush()
        line = self.source.readline()
        if not line:
            raise PromptEndedError
        return line.strip()

    def _flush(self) -> None:
        """Throw away type-ahead: `tcflush(3)`."""
        try:
            termios.tcflush(self.source.fileno(), termios.TCIFLUSH)
        except (OSError, ValueError, termios.error):
            pass  # A stream without a terminal's queue has no type-ahead to throw away.
