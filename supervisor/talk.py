"""What a program says to a person: passed on as it comes, without what terminals and logs obey.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.printable import cleaned, disarmed

_LONGEST_LINE = 1 << 14  # A line is passed on in pieces of this size.
_AT_ONCE = 4096  # Bytes that no other writer of the same pipe can come between: PIPE_BUF, pipe(7).


class Talk:
    """Passes on what was read from a pipe, line by line."""

    def __init__(self, speaker: str, most: int) -> None:
        """Prepare.

        Args:
            speaker: Who says it, as a person is told.
            most: After so many bytes the rest is left out, and a line says so.
        """
        self._speaker = speaker
        self._left = most
        self._line = b""

    def add(self, chunk: bytes) -> None:
        """Take what was read, and pass on what is whole."""
        *whole, self._line = (self._line + chunk).split(b"\n")
        if whole:
            self._write(b"".join(_clean(line) + b"\n" for line in whole))
        while len(self._line) >= _LONGEST_LINE:
            self._write(_clean(self._line[:_LONGEST_LINE]) + b"\n")
            self._line = self._line[_LONGEST_LINE:]

    def end(self) -> None:
        """Pass on the rest, which no newline has ended."""
        self._write(_clean(self._line))

    def _write(self, text: bytes) -> None:
        if self._left < 0 or not text:
            return
        self._left -= len(text)
        if self._left < 0:
            text = f"buildperm: the rest of what {self._speaker} says is left out\n".encode()
        write_all(text)


class TalkAmongOthers(Talk):
    """Passes on whole lines to where a compiler writes, and Cargo looks for its messages.

    Cargo takes each line that begins with a brace for a message of the compiler.
    """

    def __init__(self, speaker: str, most: int, mark: bytes = b"") -> None:
        """Prepare, as `Talk` does; `mark` stands before each line, to tell who says it."""
        super().__init__(speaker, most)
        self._mark = mark

    def add(self, chunk: bytes) -> None:
        """Take what was read, and pass on what is whole: each line at once."""
        *whole, self._line = (self._line + chunk).split(b"\n")
        for line in whole:
            self._pass_on(line)
        if len(self._line) >= _AT_ONCE:
            self._pass_on(self._line)
            self._line = b""

    def end(self) -> None:
        """Pass on the rest as a line of its own."""
        if self._line:
            self._pass_on(self._line)

    def _pass_on(self, line: bytes) -> None:
        most = _AT_ONCE // 4  # The rewritten piece with its newline is not longer than _AT_ONCE.
        for at in range(0, max(1, len(line)), most):
            self._write(self._mark + _without_messages(_clean(line[at : at + most])) + b"\n")


def _clean(line: bytes) -> bytes:
    return disarmed(cleaned(line))


def _without_messages(line: bytes) -> bytes:
    """Return a line that neither Cargo nor anybody who reads its messages takes for one."""
    text = line.lstrip()
    first = text[:1]
    if first in (b"{", b"["):
        return line[: len(line) - len(text)] + b"%%%02X" % ord(first) + text[1:]
    if text.startswith(b"cargo:"):
        return line[: len(line) - len(text)] + b"cargo%3A" + text[6:]
    return line


def write_all(text: bytes, descriptor: int = 2) -> bool:
    """Write all of `text`; False where nobody reads it any more."""
    try:
        while text:
            text = text[os.write(descriptor, text) :]
    except OSError:
        return False
    return True
