"""Watches a run once a second: its time, its memory, its disk space.

The recorder is in waitpid(2) meanwhile, so a signal handler does this: setitimer(2).

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import time

from buildperm.rules import limits as policy
from buildperm.supervisor import disk_usage
from buildperm.tracer.recorder.run_end import TimedOut, TooMuchMemory
from buildperm.tracer.system_values import configured

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from buildperm.tracer.recorder.run_end import LimitExceeded
else:
    import _signal

_EVERY_S = 1.0
_SHARE = 20  # Looking through the folders takes no more than one part in so many of the time.
_PAGE = configured("SC_PAGE_SIZE")


class ResourceWatch:
    """The limits of one run that the kernel does not enforce."""

    def __init__(
        self,
        limits: Mapping[str, int],
        folders: Sequence[bytes],
        processes: Callable[[], Iterable[int]],
        stop: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        is_idle: Callable[[], bool] = lambda: False,
        spent_s: float = 0.0,
    ) -> None:
        """Prepare to watch.

        Args:
            limits: See `rules.limits`.
            folders: What lies in them counts as output.
            processes: Tells the IDs of the live processes.
            stop: Called, again and again, once a limit is exceeded.
            clock: In seconds.
            is_idle: Tells whether the time since it was asked last does not count.
            spent_s: The time that counts and had passed before.
        """
        self.stop_cause: LimitExceeded | None = None  # None as long as no limit is exceeded.
        self._seconds = policy.value(limits, "seconds")
        self._memory = policy.value(limits, "memory_bytes")
        self._bytes = policy.value(limits, "output_bytes")
        self._files = policy.value(limits, "output_files")
        self._folders = tuple(folders)
        self._processes = processes
        self._stop = stop
        self._clock = clock
        self._last = self._look_at = clock()
        self._is_idle = is_idle
        self._spent = spent_s

    def start(self) -> None:
        """Begin: from now on time counts."""
        self._last = self._clock()
        self._look_at = self._last + _EVERY_S
        _signal.signal(_signal.SIGALRM, self._on_signal)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (_signal.SIGALRM,))
        _signal.setitimer(_signal.ITIMER_REAL, _EVERY_S, _EVERY_S)

    def end(self) -> None:
        """Stop watching."""
        _signal.setitimer(_signal.ITIMER_REAL, 0)

    def look(self) -> None:
        """Look at everything that is due, and stop the run if it is beyond a limit."""
        now = self._clock()
        # While this process itself is stopped, as by Ctrl+Z, nobody's time counts.
        if not self._is_idle():
            self._spent += min(now - self._last, 2 * _EVERY_S)
        self._last = now
        if self.stop_cause is None:
            self.stop_cause = self._found(now)
        if self.stop_cause is not None:
            self._stop()

    def _found(self, now: float) -> LimitExceeded | None:
        if self._seconds and self._spent >= self._seconds:
            return TimedOut()
        if self._memory and _resident(self._processes()) > self._memory:
            return TooMuchMemory()
        if now >= self._look_at and (self._bytes or self._files):
            found = disk_usage.excess(self._folders, self._bytes, self._files)
            after = self._clock()
            self._look_at = after + max(_EVERY_S, _SHARE * (after - now))
            return found
        return None

    def _on_signal(self, _number: int, _frame: object) -> None:
        self.look()


def _resident(pids: Iterable[int]) -> int:
    """Add up what processes hold in memory: proc_pid_statm(5), "resident"."""
    pages = 0
    for pid in pids:
        try:
            with open(b"/proc/%d/statm" % pid, "rb") as file:
                pages += int(file.read().split()[1])
        except (OSError, IndexError, ValueError):
            pass  # It has ended.
    return pages * _PAGE
