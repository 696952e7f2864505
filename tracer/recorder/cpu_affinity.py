"""Pins a stopped thread to the recorder's CPU while the kernel makes its system call.

At each stop, the recorder and the thread wait for each other. On two CPUs, each has to wake the
other across CPUs, which takes several times as long as the rest of the stop, and on a virtual
machine a hundred times. So the recorder stays on one CPU for a while. A thread that it resumes is
pinned to that CPU until the call has returned:

    pinned ──PTRACE_SYSCALL──▶ the call ──▶ syscall-exit-stop ──PTRACE_CONT──▶ unpinned

The script never sees this. Within a call it cannot look. After the call, the recorder keeps running
until it has unpinned the thread: a thread that wakes up under SCHED_BATCH does not preempt others
(sched(7)), so it could only run earlier if the recorder's time slice ends at that moment. A thread
or process that is made at such a moment is unpinned before it starts, and sched_getaffinity(2)
stops, so that its answer is true. Once a script sets affinities or policies itself, no thread is
pinned any more.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os

from buildperm.tracer.recorder import c_library
from buildperm.tracer.recorder.c_library import short_libc
from buildperm.tracer.recorder.ptrace import CONT, SYSCALL, request
from buildperm.tracer.syscall_table import AffinityLayout, of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from buildperm.tracer.recorder.observation import Decoded, Handler, SyscallInfo
    from buildperm.tracer.recorder.process_tree import Process

_CALLS_PER_CPU = 64  # Then the scheduler may choose another CPU for the recorder.
_MASK_SIZE = 1024  # Bytes: one bit for each CPU that Linux can have, NR_CPUS.

_Mask = c_library.c_ubyte * _MASK_SIZE

_set = short_libc.sched_setaffinity
_set.argtypes = (c_library.c_int, c_library.c_size_t, c_library.c_void_p)
_get = short_libc.sched_getaffinity
_get.argtypes = _set.argtypes
_current_cpu = short_libc.sched_getcpu


class CpuAffinity:
    """Resumes stopped threads, pinned or not.

    Nothing is pinned until `enable`, after `disable`, and where it is not possible.
    sched_setaffinity(2): each thread has a mask of its own, and new threads inherit it.
    """

    def __init__(self) -> None:
        self._is_enabled = False
        self._full_mask = _Mask()  # That of the script's threads and of the recorder.
        self._pinned_mask = _Mask()
        self._full = c_library.addressof(self._full_mask)
        self._one = c_library.addressof(self._pinned_mask)
        self._byte = 0  # Where the one bit of the pinned mask is.
        self._calls_left = 0  # On this CPU; 0: the recorder is not pinned.
        self._pinned: set[int] = set()  # Threads in a call.

    def handlers(self, calls: Mapping[int, str]) -> dict[int, Handler]:
        """Return the handlers of those `calls`, names by number, that are about affinity."""

        def handler(at_entry: Callable[[], None]) -> Handler:
            def on_entry(_tid: int, _process: Process, _syscall: SyscallInfo) -> Decoded | None:
                at_entry()
                return None  # Not recorded.

            def on_exit(
                tid: int, _process: Process, _decoded: Decoded, _result: int, _no: bool
            ) -> None:
                self.resume(tid)

            return on_entry, on_exit

        layouts = of(AffinityLayout)
        return {
            number: handler(self.disable if layouts[name].sets else self.unpin_all)
            for number, name in calls.items()
            if name in layouts
        }

    def enable(self, pid: int) -> None:
        """Begin to pin threads; the child `pid`, which has executed nothing yet, makes them all."""
        # Whoever has chosen another policy for the recorder knows about scheduling.
        if os.sched_getscheduler(0) != os.SCHED_OTHER:
            return
        if _get(0, _MASK_SIZE, self._full) < 0 or len(os.sched_getaffinity(0)) < 2:
            return
        try:
            os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))
        except OSError:
            return
        self._is_enabled = True

    def disable(self) -> None:
        """Unpin everything, the recorder too, and pin nothing from now on."""
        if not self._is_enabled:
            return
        self._is_enabled = False
        self._calls_left = 0
        _set(0, _MASK_SIZE, self._full)
        self.unpin_all()

    def unpin_all(self) -> None:
        """Unpin all threads, those in a call too; the next call pins again."""
        for tid in self._pinned:
            _set(tid, _MASK_SIZE, self._full)
        self._pinned.clear()

    def resume_call(self, tid: int) -> None:
        """Resume `tid` at the entry of a call until its exit, pinned if possible.

        Not for execve(2): at its exit the thread may be another one.
        """
        if self._is_enabled:
            if not self._calls_left:
                self._pin_recorder()
            self._calls_left -= 1
            if self._calls_left and not _set(tid, _MASK_SIZE, self._one):
                self._pinned.add(tid)
            elif not self._calls_left:  # It may wake up on any CPU; the recorder then stays there.
                _set(0, _MASK_SIZE, self._full)
        request(SYSCALL, tid, None, None)

    def resume(self, tid: int) -> None:
        """Resume `tid`, unpinned, until whatever stops it next."""
        request(CONT, tid, None, None)
        if tid in self._pinned:
            self._pinned.discard(tid)
            _set(tid, _MASK_SIZE, self._full)

    def unpin_new(self, tid: int) -> None:
        """Unpin `tid`, which has inherited a pinned mask or got it under the same ID.

        It has not run yet, or not since execve(2) made it the first thread of its process.
        """
        self._pinned.discard(tid)
        if self._is_enabled:
            _set(tid, _MASK_SIZE, self._full)

    def forget(self, tid: int) -> None:
        """Forget a thread that has ended: its ID may be used again."""
        self._pinned.discard(tid)

    def _pin_recorder(self) -> None:
        """Pin the recorder to the CPU that it runs on."""
        self._pinned_mask[self._byte] = 0
        cpu = max(0, _current_cpu())
        self._byte = cpu // 8
        self._pinned_mask[self._byte] = 1 << cpu % 8
        _set(0, _MASK_SIZE, self._one)
        self._calls_left = _CALLS_PER_CPU
