"""Counts the tokens of Cargo's job server that a build script's processes take and give back.

Whoever starts a job more takes a byte out of a pipe, and puts it back when the job has ended:
make's manual, "POSIX Jobserver". All that take part read and write one byte at a time, and the
filter stops nothing else. A process that is killed has no time to put anything back.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os

from buildperm.tracer import calls as layouts
from buildperm.tracer import memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from buildperm.tracer.observation import Enter, Leave, Seen, Stopped
    from buildperm.tracer.tree import Process


class Tokens:
    """What has been taken from one job server, and not been given back."""

    def __init__(self, pipe: tuple[int, int] | None, resume: Callable[[int], None]) -> None:
        """Begin with nothing.

        Args:
            pipe: Device and inode of the job server; None: there is none.
            resume: Lets a stopped thread go on.
        """
        self.taken = bytearray()  # As they were: make's manual wants the same ones back.
        self.excess = 0  # How many were put in that nobody had taken.
        self.settled = 0  # Put back in the tree's place; less than 0: taken out again.
        self._pipe = pipe
        self._resume = resume

    def handlers(self, calls: Mapping[int, str]) -> dict[int, tuple[Enter, Leave]]:
        """Return what reads those of `calls`, names by number, that move tokens."""
        if self._pipe is None:
            return {}
        ways = {"read": (self._enter, self._read), "write": (self._enter_write, self._written)}
        return {number: ways[name] for number, name in calls.items() if name in layouts.TOKENS}

    def _enter(self, tid: int, _process: Process, stopped: Stopped) -> Seen | None:
        try:
            found = os.stat(b"/proc/%d/fd/%d" % (tid, stopped[1] & 0xFFFFFFFF))
        except OSError:
            return None  # No such descriptor, or the thread is gone.
        return (stopped[2],) if (found.st_dev, found.st_ino) == self._pipe else None

    def _enter_write(self, tid: int, process: Process, stopped: Stopped) -> Seen | None:
        seen = self._enter(tid, process, stopped)
        return seen and (memory.read(tid, stopped[2], 1),)

    def _read(self, tid: int, _process: Process, seen: Seen, result: int, _refused: bool) -> None:
        token = b""
        if result == 1:
            try:
                token = memory.read(tid, seen[0], 1)
            except OSError:
                pass  # Killed meanwhile.
            self.taken += token or b"+"
        self._resume(tid)

    def _written(
        self, tid: int, _process: Process, seen: Seen, result: int, _refused: bool
    ) -> None:
        self._resume(tid)
        if result != 1:
            return
        if not self.taken:
            self.excess += 1
            return
        at = self.taken.find(seen[0])
        del self.taken[at if seen[0] and at >= 0 else -1]
