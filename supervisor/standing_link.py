"""What leads a plain Cargo that runs to what it is held to, while buildperm is always on.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

HOLD = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "workflow", "standing_hold.py"
)
"""The program that prepares: where it is not, buildperm is not installed any more."""

_STARTED = 19  # Fields of /proc/PID/stat behind the name: proc_pid_stat(5), (22) starttime.


def run_link(state: bytes, process: int) -> bytes:
    """Return the link that leads to what was prepared for a process; empty if that is gone.

    With its start, as numbers of processes come again: proc_pid_stat(5).
    """
    try:
        with open(b"/proc/%d/stat" % process, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return b"%s/run/%d-%d" % (state, process, int(fields[_STARTED]))
    except (OSError, LookupError, ValueError):
        return b""
