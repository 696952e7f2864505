"""The terminal that Cargo was started in, asked while Cargo waits.

Its modes are never changed, so nothing has to be restored, however this process ends: a line is
typed, and Enter sends it. What was typed before a question never answers it. In the background, or
while a program has the whole screen, nothing is asked.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from dataclasses import dataclass

from buildperm.printable import drawable, shown

if sys.platform != "win32":
    import termios

SETTLING_S = 0.4
"""For so long after a question appears, keys still belong to what was there before."""

_TOGETHER_S = 0.05  # Lines that come within this were pasted, or a key was held down.
_LOOK_UP_EVERY_S = 0.5
_LINE_MOST = 4096  # termios(3), "Canonical and noncanonical mode".
_LOCAL_MODES = 3  # Of what tcgetattr(3) returns.
_CLEAR = "\r\x1b[K"  # Cargo's progress bar has no newline behind it. ECMA-48, "EL".


class NobodyAnswersError(Exception):
    """Nobody has answered in time, or nobody can: the terminal is gone, or somebody else's."""


@dataclass(slots=True)
class QuestionTerminal:
    """One terminal, in the foreground of which this process is."""

    descriptor: int
    number: int  # Its device, by which others know it too: proc_pid_stat(5), (7) tty_nr.
    is_dumb: bool
    _is_resumed: bool = False

    @classmethod
    def open(cls, *, is_dumb: bool) -> QuestionTerminal | None:
        """Open the controlling terminal, if somebody can be asked there.

        Signals that stop a process in the background are ignored from then on: it gets EIO.
        """
        for stops in (signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(stops, signal.SIG_IGN)
        try:
            descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
            found = cls(descriptor, _device(), is_dumb)
        except (OSError, LookupError, ValueError):
            return None
        signal.signal(signal.SIGCONT, found._resume)
        return found if found.is_free() else None

    def _resume(self, _number: int, _frame: object) -> None:
        """Note that this process goes on after it was stopped; a signal handler."""
        self._is_resumed = True

    def is_free(self) -> bool:
        """Tell whether lines can be typed here, and this process is in the foreground."""
        try:
            is_ours = os.tcgetpgrp(self.descriptor) == os.getpgrp()
            modes = termios.tcgetattr(self.descriptor)[_LOCAL_MODES]
        except (OSError, termios.error):
            return False
        return is_ours and bool(modes & termios.ICANON) and bool(modes & termios.ECHO)

    def print_lines(self, *lines: str) -> None:
        """Print lines, on a line of their own."""
        self._write("".join(f"{self._start()}{drawable(line)}\n" for line in lines))

    def tell(self, text: str) -> None:
        """Say something that needs no answer, if anybody is there."""
        try:
            self.print_lines(shown(text))
        except NobodyAnswersError:
            pass

    def settle(self) -> None:
        """Wait until whoever is typing can have seen the question, and forget what was typed."""
        time.sleep(SETTLING_S)
        self._flush()

    def answer(self, offered: str, until_s: float) -> str:
        """Return one line that was typed after this question was put.

        Several lines at once are no answer: they were pasted.

        Args:
            offered: What the question offers.
            until_s: When it ends, of time.monotonic().

        Raises:
            NobodyAnswersError: Nobody has, or can.
        """
        while True:
            line = self._line(offered, until_s)
            if not self._waits(_TOGETHER_S):
                return line.strip()
            self.settle()
            self.print_lines("these were several lines at once, which is no answer")

    def _offer(self, offered: str, until_s: float) -> None:
        left_s = max(0, round(until_s - time.monotonic()))
        # On a line of its own: Cargo draws its progress bar, indented, where the cursor is.
        self.print_lines(f"Answer within {left_s} s: {offered}")

    def _line(self, offered: str, until_s: float) -> str:
        self._is_resumed = True
        while True:
            if self._is_resumed:  # Or the shell has printed something: Ctrl+Z, then `fg`.
                self._is_resumed = False
                self._offer(offered, until_s)
            if not self.is_free():
                raise NobodyAnswersError("the terminal is in use by something else")
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                self._write("\n")
                raise NobodyAnswersError("nobody has answered in time")
            if self._waits(min(left_s, _LOOK_UP_EVERY_S)):
                break
        try:
            raw = os.read(self.descriptor, _LINE_MOST)
        except OSError as error:
            raise NobodyAnswersError("the terminal is gone") from error
        if not raw:
            self._write("\n")  # Ctrl+D.
        return raw.decode("utf-8", "replace")

    def _waits(self, seconds: float) -> bool:
        """Tell whether something can be read, or comes within some time."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def _flush(self) -> None:
        """Throw away type-ahead: tcflush(3)."""
        try:
            termios.tcflush(self.descriptor, termios.TCIFLUSH)
        except termios.error as error:
            raise NobodyAnswersError("the terminal is gone") from error

    def _start(self) -> str:
        return "" if self.is_dumb else _CLEAR

    def _write(self, text: str) -> None:
        left = text.encode("utf-8", "replace")
        try:
            while left:
                left = left[os.write(self.descriptor, left) :]
        except OSError as error:
            raise NobodyAnswersError("the terminal is gone") from error


def _device() -> int:
    """Return the number of the controlling terminal's device: proc_pid_stat(5), (7) tty_nr."""
    with open("/proc/self/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[4])
