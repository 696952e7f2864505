"""Has a stopped thread go on on the recorder's own processor, as if the recorder called it.

At each stop one of the two waits for the other. On processors of their own both are woken from the
other one each time, which takes several times as long as everything else about a stop, and on a
virtual machine a hundred times. So the recorder stays where it is for a while, and a thread that
it lets go on is held to that processor while it is woken:

    narrowed ──PTRACE_SYSCALL──▶ the call ──▶ exit stop ──PTRACE_CONT──▶ widened ──▶ on its own

The script never sees it. Within a call it cannot look, and after it the recorder runs on until it
has taken the hold away: woken with SCHED_BATCH a thread does not take the processor from others
(sched(7)), and so it could only run before that where the recorder's own time is up just then.
What is made in such a moment is widened before it begins, and sched_getaffinity(2) stops, so that
whoever asks is told what is true. A script that sets affinities or policies itself is left alone
from then on.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import ctypes
import os

from buildperm.tracer.recorder.ptrace import CONT, SYSCALL, libc, request
from buildperm.tracer.syscall_table import AffinityLayout, of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from buildperm.tracer.recorder.observation import Enter, Leave, Seen, Stopped
    from buildperm.tracer.recorder.process_tree import Process

_TURN = 64  # Calls on one processor, before the scheduler may choose another one.
_MASK_SIZE = 1024  # Bytes: one bit for each processor that Linux can have, NR_CPUS.

_Mask = ctypes.c_ubyte * _MASK_SIZE

_set = libc.sched_setaffinity
_set.argtypes = (ctypes.c_int, ctypes.c_size_t, ctypes.c_void_p)
_get = libc.sched_getaffinity
_get.argtypes = _set.argtypes
_processor = libc.sched_getcpu


class CpuAffinity:
    """Lets stopped threads go on; plainly until `begin`, after `end`, and where it cannot be done.

    sched_setaffinity(2): a mask is a thread's own, and what it makes inherits it.
    """

    def __init__(self) -> None:
        self._is_active = False
        self._wide = _Mask()  # What the script's threads and the recorder have.
        self._narrow = _Mask()
        self._all = ctypes.addressof(self._wide)
        self._one = ctypes.addressof(self._narrow)
        self._at = 0  # Where the bit in the narrow mask is.
        self._left = 0  # Of the turn; 0: the recorder is not held to a processor.
        self._narrowed: set[int] = set()  # Threads in a call.

    def handlers(self, calls: Mapping[int, str]) -> dict[int, tuple[Enter, Leave]]:
        """Return what is done at those of `calls`, names by number, that are about affinity."""

        def done_at(entry: Callable[[], None]) -> tuple[Enter, Leave]:
            def enter(_tid: int, _process: Process, _stopped: Stopped) -> Seen | None:
                entry()
                return None  # Not recorded.

            def leave(tid: int, _process: Process, _seen: Seen, _result: int, _no: bool) -> None:
                self.resume(tid)

            return enter, leave

        layouts = of(AffinityLayout)
        return {
            number: done_at(self.end if layouts[name].sets else self.widen)
            for number, name in calls.items()
            if name in layouts
        }

    def begin(self, pid: int) -> None:
        """Begin with the child `pid`, which has executed nothing yet; it will make all others."""
        # Who has to run in time, or not be in anybody's way, knows about scheduling.
        if os.sched_getscheduler(0) != os.SCHED_OTHER:
            return
        if _get(0, _MASK_SIZE, self._all) < 0 or len(os.sched_getaffinity(0)) < 2:
            return
        try:
            os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))
        except OSError:
            return
        self._is_active = True

    def end(self) -> None:
        """Leave all threads alone from now on, and the recorder as it was."""
        if not self._is_active:
            return
        self._is_active = False
        self._left = 0
        _set(0, _MASK_SIZE, self._all)
        self.widen()

    def widen(self) -> None:
        """Hold no thread any more, whether it is in a call or not, until the next one."""
        for tid in self._narrowed:
            _set(tid, _MASK_SIZE, self._all)
        self._narrowed.clear()

    def enter(self, tid: int) -> None:
        """Let `tid`, at the entry of a call, go on to its exit.

        Not for execve(2): the thread may be another one at its exit.
        """
        if self._is_active:
            if not self._left:
                self._stay()
            self._left -= 1
            if self._left and not _set(tid, _MASK_SIZE, self._one):
                self._narrowed.add(tid)
            elif not self._left:  # This one may wake anywhere, and then the recorder stays there.
                _set(0, _MASK_SIZE, self._all)
        request(SYSCALL, tid, None, None)

    def resume(self, tid: int) -> None:
        """Let `tid` go on to whatever stops it next."""
        request(CONT, tid, None, None)
        if tid in self._narrowed:
            self._narrowed.discard(tid)
            _set(tid, _MASK_SIZE, self._all)

    def made(self, tid: int) -> None:
        """Take a hold away that `tid` was born with, or got as another thread of this number.

        It has not run yet, or not since execve(2) made it the first thread of its process.
        """
        self._narrowed.discard(tid)
        if self._is_active:
            _set(tid, _MASK_SIZE, self._all)

    def gone(self, tid: int) -> None:
        """Forget a thread: its number may become another one's."""
        self._narrowed.discard(tid)

    def _stay(self) -> None:
        """Hold the recorder to the processor that it is on."""
        self._narrow[self._at] = 0
        processor = max(0, _processor())
        self._at = processor // 8
        self._narrow[self._at] = 1 << processor % 8
        _set(0, _MASK_SIZE, self._one)
        self._left = _TURN
