"""Reads keys from the terminal as Textual does, and hands over together what came together."""

from __future__ import annotations

import os
import selectors
import sys
from codecs import getincrementaldecoder
from typing import TYPE_CHECKING, Final

from textual import events

from buildperm.tui.terminal_parser import ESCAPE_S, new_parser

if sys.platform == "win32":
    from textual.driver import Driver as LinuxDriver
else:
    from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from textual.driver import Driver
    from textual.message import Message

_READ_BYTES: Final = 4096
_LOOK_S: Final = 0.1  # How often it is looked whether the application ends.
_MARGIN_S: Final = 0.002  # So that the parser has stopped waiting when it is asked.
_ESCAPE: Final = "\x1b"


class TerminalDriver(LinuxDriver):
    """Posts all that one read of the terminal brought at once.

    Then the first key of a paste is not obeyed before the application knows of the others. The keys
    of one read have one time, so that no busy processor draws them apart.
    """

    _together: list[Message] | None = None
    """What one read brought, while it is looked at; None while nothing is."""

    def run_input_thread(self) -> None:
        """Wait for what is typed, until the application ends."""
        parser = new_parser(is_debugging=self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            is_ending, look_s = False, _LOOK_S
            while not is_ending:
                is_ending = self.exit_event.is_set()  # What the terminal still says is read, too.
                came: list[Message] = []
                if selector.select(look_s):
                    read = os.read(self.fileno, _READ_BYTES)
                    if not read:
                        return
                    text = decode(read)  # Empty where a letter is not whole yet.
                    came += parser.feed(text) if text else ()
                    look_s = ESCAPE_S + _MARGIN_S if text.endswith(_ESCAPE) else _LOOK_S
                else:
                    look_s = _LOOK_S
                came += parser.tick()  # An Escape that nothing has followed.
                self._post(came)

    def send_message(self, message: Message) -> None:
        """Send a message, or keep it until all of the read is there."""
        if self._together is None:
            super().send_message(message)
        else:
            self._together.append(message)

    def _post(self, messages: list[Message]) -> None:
        together = self._together = []
        for message in messages:
            self.process_message(message)
        self._together = None
        keys = [each for each in together if isinstance(each, events.Key)]
        for key in keys:
            key.time = keys[0].time
        if together:
            self._loop.call_soon_threadsafe(self._hand_over, together)

    def _hand_over(self, messages: list[Message]) -> None:
        for message in messages:
            self._app.post_message(message)


OWN_DRIVER: Final[type[Driver] | None] = None if sys.platform == "win32" else TerminalDriver
"""What applications read the terminal with; None where Textual chooses itself."""
