"""Counts the tokens of Cargo's job server that a build script's processes take and return.

To start another job, a process reads a byte from a pipe. When the job has ended, it writes the byte
back: make's manual, "POSIX Jobserver". Most move one byte at a time, and a few move some more. The
filter ignores all other reads and writes. A process that is killed cannot return its tokens.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os

from buildperm.tracer.recorder import memory
from buildperm.tracer.syscall_table import MOST_TOKENS, TokenLayout, of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from buildperm.tracer.recorder.observation import Decoded, Handler, SyscallInfo
    from buildperm.tracer.recorder.process_tree import Process


class JobserverTokens:
    """The tokens of one job server that the tree holds."""

    def __init__(self, resume: Callable[[int], None]) -> None:
        """Start with no tokens; `resume` resumes a stopped thread."""
        self.held = bytearray()  # The bytes themselves: make's manual wants the same ones back.
        self.returned = 0  # How many the supervisor has returned for the tree.
        self._pipe = (0, 0)
        self._resume = resume

    def handlers(self, calls: Mapping[int, str], pipe: tuple[int, int]) -> dict[int, Handler]:
        """Return the handlers of those `calls`, names by number, that move tokens.

        `pipe` is the device and inode of the job server.
        """
        self._pipe = pipe
        taking, giving = (
            (self._on_entry, self._on_read_exit),
            (self._on_write_entry, self._on_write_exit),
        )
        layouts = of(TokenLayout)
        return {
            number: taking if layouts[name].takes else giving
            for number, name in calls.items()
            if name in layouts
        }

    def _on_entry(self, tid: int, _process: Process, syscall: SyscallInfo) -> Decoded | None:
        try:
            found = os.stat(b"/proc/%d/fd/%d" % (tid, syscall[1] & 0xFFFFFFFF))
        except OSError:
            return None  # No such descriptor, the thread is gone, or its program is unreadable.
        return (syscall[2],) if (found.st_dev, found.st_ino) == self._pipe else None

    def _on_write_entry(self, tid: int, process: Process, syscall: SyscallInfo) -> Decoded | None:
        decoded = self._on_entry(tid, process, syscall)
        return decoded and (memory.read(tid, decoded[0], syscall[3] & MOST_TOKENS),)

    def _on_read_exit(
        self, tid: int, _process: Process, decoded: Decoded, result: int, _refused: bool
    ) -> None:
        if result > 0:
            try:
                tokens = memory.read(tid, decoded[0], result)
            except OSError:
                tokens = b""  # Killed meanwhile.
            self.held += tokens.ljust(result, b"+")
        self._resume(tid)

    def _on_write_exit(
        self, tid: int, _process: Process, decoded: Decoded, result: int, _refused: bool
    ) -> None:
        self._resume(tid)
        for token in decoded[0][: max(0, result)]:
            if self.held:  # Else it was read in a way that does not stop.
                at = self.held.find(token)
                del self.held[at if at >= 0 else -1]
