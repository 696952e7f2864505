"""Cargo's job server: what a build script gets of it, and what it gets back.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Jobserver:
    """The pipe or fifo that the environment of a build script names, if there is one."""

    def __init__(self, environ: Mapping[bytes, bytes]) -> None:
        """Find it: a pipe among the open descriptors, or a fifo."""
        value = _named(environ)
        is_fifo = value.startswith(b"fifo:")
        self.fifo = value[5:] if is_fifo else b""  # Its path; empty: it has none.
        self.kept = [] if is_fifo else [n for n in numbers(environ) if _pipe(n)]  # Descriptors.
        self.pipe: tuple[int, int] | None = None  # Device and inode; None: there is none to use.
        self._ends: tuple[bytes, bytes] = (self.fifo, self.fifo)
        if is_fifo:
            self.pipe = _pipe(self.fifo)
        elif len(self.kept) == 2:
            reading, writing = map(_pipe, self.kept)
            self.pipe = reading if reading == writing else None
            self._ends = (b"/proc/self/fd/%d" % self.kept[0], b"/proc/self/fd/%d" % self.kept[1])

    def settle(self, taken: bytes, excess: int) -> int:
        """Put back the tokens in `taken`, and take out as many as there are in excess.

        Waits for nothing: what is in excess may be in use just now.

        Returns:
            How many have been put in; less than 0 for those taken out.
        """
        if self.pipe is None:
            return 0
        put = self._moved(1, taken) if taken else 0
        return put - (self._moved(0, excess) if excess else 0)

    def _moved(self, end: int, what: bytes | int) -> int:
        """Read so many bytes, or write these; how many that was.

        An own description is opened, so that nobody else's calls stop waiting: pipe(7), O_NONBLOCK.
        """
        flags = os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        moved = 0
        try:
            own = os.open(self._ends[end], flags | (os.O_WRONLY if end else os.O_RDONLY))
        except OSError:
            return 0  # Cargo is gone.
        try:
            if _pipe(own) == self.pipe:
                moved = os.write(own, what) if isinstance(what, bytes) else len(os.read(own, what))
        except OSError:
            pass  # There is no room, or nothing to be had.
        finally:
            os.close(own)
        return moved


def numbers(environ: Mapping[bytes, bytes]) -> list[int]:
    """List the descriptors that are said to be those of Cargo's job server."""
    parts = _named(environ).split(b",")
    return [int(part) for part in parts if part.isdigit() and len(part) < 7]


def _named(environ: Mapping[bytes, bytes]) -> bytes:
    """Return where the job server is.

    CARGO_MAKEFLAGS (or MAKEFLAGS, where Cargo itself runs under make) says
    `--jobserver-auth=R,W` or `--jobserver-auth=fifo:PATH`; older ones `--jobserver-fds=R,W`. The
    last one counts: make's manual, "POSIX Jobserver".
    """
    flags = environ.get(b"CARGO_MAKEFLAGS") or environ.get(b"MAKEFLAGS", b"")
    value = b""
    for word in flags.split():
        for option in (b"--jobserver-auth=", b"--jobserver-fds="):
            if word.startswith(option):
                value = word[len(option) :]
    return value


def _pipe(where: int | bytes) -> tuple[int, int] | None:
    """Return device and inode of a descriptor or path that is a pipe; None for anything else."""
    try:
        found = os.stat(where)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISFIFO(found.st_mode) else None
