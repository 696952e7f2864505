"""Tells whether a host of macros works or only waits for its compiler.

A host lives as long as the compilation does, and mostly there is nothing for it to do. Only time in
which it works counts for the limit `seconds`.

Part of the supervisor: os only.
"""

from __future__ import annotations

import os
import time

from buildperm.supervisor.macro_request import BRIDGE
from buildperm.tracer.system_values import configured, machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from buildperm.tracer.recorder.loop import Recorder

_READ, _READV, _RECVFROM, _RECVMSG = {
    "x86_64": (b"0", b"19", b"45", b"47"),
    "aarch64": (b"63", b"65", b"207", b"212"),
}.get(machine(), (b"",) * 4)
_BRIDGE = b"0x%x " % BRIDGE

_BUSY = 0.5  # Of a processor: so much is work, whatever the bridge says.
_TICKS = configured("SC_CLK_TCK")


class Idleness:
    """Called again and again, tells each time about the time since the last call."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock()
        self._spent = 0.0

    def __call__(self, recorder: Recorder) -> bool:
        """Tell whether it only waits: a thread reads from the bridge, and none uses much time."""
        live = recorder.live
        now, spent = self._clock(), sum(map(_processor_seconds, live))
        share = (spent - self._spent) / max(now - self._at, 0.001)
        self._at, self._spent = now, spent
        return share < _BUSY and bool(live) and _reads_from_bridge(live[0])


def _reads_from_bridge(pid: int) -> bool:
    """Tell whether a thread of `pid` waits for the bridge: proc_pid_syscall(5)."""
    try:
        for tid in os.listdir(b"/proc/%d/task" % pid):
            with open(b"/proc/%d/task/%s/syscall" % (pid, tid), "rb") as file:
                number, _, arguments = file.read().partition(b" ")
            # The bridge brings pipes, and hardly anything but a host reads with readv(2).
            if number == _READV:
                return True
            if number in (_READ, _RECVFROM, _RECVMSG) and arguments.startswith(_BRIDGE):
                return True
    except OSError:
        pass  # It has ended, or this kernel does not tell.
    return False


def _processor_seconds(pid: int) -> float:
    try:
        with open(b"/proc/%d/stat" % pid, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS  # proc_pid_stat(5): utime, stime
    except (OSError, ValueError, IndexError):
        return 0.0
