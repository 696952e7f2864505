"""Carries what macros print: all of it is talk, passed on beside what their compiler says.

Part of the supervisor: standard library only; no `threading`, which costs its import.
"""

from __future__ import annotations

import _thread
import os

from buildperm.supervisor.talk import TalkAmongOthers

_CHUNK = 1 << 16


class MacroStreams:
    """The pipe that is both standard output and standard error, and the thread that empties it."""

    stop_cause = None  # There is nothing for which it would stop a run.

    def __init__(self, stderr_bytes: int, pipe: int = -1, mark: bytes = b"") -> None:
        """Make the pipe; what is printed beyond `stderr_bytes` is left out.

        Where a host prints into one already, `pipe` is its end for reading. `mark` stands before
        each line.
        """
        self._pipe, self.stdout = (pipe, -1) if pipe >= 0 else os.pipe2(os.O_CLOEXEC)
        self.stderr = self.stdout
        self._talk = TalkAmongOthers("a macro", stderr_bytes, mark)
        self._done = _thread.allocate_lock()

    def start(self) -> None:
        """Start reading; the writing end is closed on this side."""
        if self.stdout >= 0:
            os.close(self.stdout)
        self._done.acquire()
        _thread.start_new_thread(self._read, ())

    def finish(self, timeout_s: float) -> bool:
        """Wait until the pipe is at its end and read; False if it is not yet."""
        return self._done.acquire(timeout=timeout_s)

    def _read(self) -> None:
        while chunk := os.read(self._pipe, _CHUNK):
            self._talk.add(chunk)
        self._talk.end()
        self._done.release()
