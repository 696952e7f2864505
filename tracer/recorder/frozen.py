"""A process that another tracer has left frozen, for a recorder to go on with.

The launcher starts hosts of macros itself, and traces them as long as nothing that they do has to
be recorded. Then it leaves them in a system call that only SIGKILL ends, without any tracer, so
that another one can begin. `supervisor/compiling/tracee.c` tells what has to be put back.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import struct

from buildperm.tracer.recorder import ptrace, registers
from buildperm.tracer.recorder.ptrace import CONT, INTERRUPT, LISTEN, WALL, request

_REGISTERS = 256  # Bytes that are kept for them.
_MASK = struct.Struct("=QQQ")  # Blocked signals; where a word of code was replaced, and the word.
SIZE = _REGISTERS + _MASK.size
"""Bytes of a place."""

_SIGTRAP = 5


class FrozenProcess:
    """A process, and the place from where it goes on."""

    __slots__ = ("_mask", "_original", "_patched", "_registers", "ended", "is_stopped", "pid")

    def __init__(self, pid: int, place: bytes) -> None:
        """Take its ID and its place."""
        self.pid = pid
        self.ended: int | None = None  # Its wait status, if it was killed meanwhile.
        self.is_stopped = False  # By a signal: SIGCONT makes it run.
        self._registers = registers.unpacked(place[:_REGISTERS])
        self._mask, self._patched, self._original = _MASK.unpack_from(place, _REGISTERS)

    def seize(self) -> None:
        """Trace it, and put back what was there: it may run again then, and does not yet.

        Raises:
            OSError: ptrace is refused, or the process cannot be changed any more.
        """
        ptrace.seize(self.pid)
        request(INTERRUPT, self.pid, None, None)
        while True:
            _, status = os.waitpid(self.pid, WALL)
            event, signal = status >> 16, status >> 8 & 0xFF
            if status & 0xFF != 0x7F:
                self.ended = status
                return
            if event:
                break
            request(CONT, self.pid, None, signal)  # SIGSTOP: no other one gets through.
        self.is_stopped = signal != _SIGTRAP
        if self._patched:
            ptrace.poke(self.pid, self._patched, struct.pack("=Q", self._original))
        is_whole = registers.store(self.pid, self._registers)
        if not is_whole or not ptrace.set_signal_mask(self.pid, self._mask):
            raise OSError("the process that ran macros cannot be made to go on")

    def let_go(self) -> None:
        """Let it run."""
        if self.ended is None:
            request(LISTEN if self.is_stopped else CONT, self.pid, None, None)
