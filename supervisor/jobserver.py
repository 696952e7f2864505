"""Cargo's job server: what a build script gets of it, and which tokens go back.

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
        self.fifo = named_fifo(environ)  # Its path; empty: it has none.
        # Descriptors. Make may name one, and not pass it on: then the number can be one of ours,
        # and these are closed on execution.
        named = [] if self.fifo else numbers(environ)
        self.kept = [n for n in named if _pipe(n) and os.get_inheritable(n)]
        self.pipe: tuple[int, int] | None = None  # Device and inode; None: there is none to use.
        self._end = -1
        if self.fifo:
            self._hold_fifo()
        elif len(self.kept) == 2:
            reading, writing = map(_pipe, self.kept)
            self.pipe = reading if reading == writing else None
            self._end = self.kept[1]

    def put_back(self, tokens: bytes) -> int:
        """Write `tokens` without waiting; return how many were written.

        A new open file description keeps O_NONBLOCK from everybody else's calls: pipe(7).
        """
        if self.pipe is None or not tokens:
            return 0
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            own = os.open(b"/proc/self/fd/%d" % self._end, flags)
        except OSError:
            return 0  # Cargo is gone.
        try:
            return os.write(own, tokens)
        except OSError:
            return 0
        finally:
            os.close(own)

    def _hold_fifo(self) -> None:
        """Keep the fifo open: a script may put something else under its name later."""
        try:
            self._end = os.open(self.fifo, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return
        self.pipe = _pipe(self._end)


def named_fifo(environ: Mapping[bytes, bytes]) -> bytes:
    """Return the path of the fifo that the environment names; empty if it names none."""
    value = _named(environ)
    return value[5:] if value.startswith(b"fifo:") else b""


def numbers(environ: Mapping[bytes, bytes]) -> list[int]:
    """List the descriptors that the environment names for Cargo's job server."""
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


def _pipe(descriptor: int) -> tuple[int, int] | None:
    """Return device and inode of a pipe; None where the descriptor is anything else."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISFIFO(found.st_mode) else None
