"""Textual's parser of what a terminal sends: the one place that relies on its private part."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Protocol

from textual import constants
from textual._xterm_parser import XTermParser  # There is no public one: see `new_parser`.

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.message import Message


ESCAPE_S: Final = 0.03
"""How long an Escape waits for the rest of a sequence, which a terminal sends in one go.

Textual waits for 0.1 s, unless ESCDELAY says otherwise, in milliseconds, as for curses(3). What
comes later than that is no decision: different keys of one read are a paste.
"""


class TerminalParser(Protocol):
    """Makes messages of text from a terminal."""

    def feed(self, data: str) -> Iterable[Message]:
        """Yield what some text means; the rest of a sequence may follow."""

    def tick(self) -> Iterable[Message]:
        """Yield what no longer waits for a rest: an Escape that nothing has followed."""


def new_parser(*, is_debugging: bool) -> TerminalParser:
    """Return the parser that Textual's own driver uses.

    That driver hands over key by key, and does not tell which of them one read brought. Nothing
    public of Textual does: a driver gets single messages, and makes the parser in the method that
    reads. `tests/tui/test_terminal_parser.py` fails where a new version of Textual has another.
    """
    if "ESCDELAY" not in os.environ:
        constants.ESCAPE_DELAY = ESCAPE_S  # type: ignore[misc]  # There is no other way to say it.
    parser: TerminalParser = XTermParser(is_debugging)
    return parser
