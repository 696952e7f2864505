"""Puts the process in order that a command runs in, whatever it was started with."""

from __future__ import annotations

import io
import os
import signal
import sys


def settle() -> None:
    """Open standard streams that are closed, and have children be waited for as ever.

    What cannot be said in the letters of this locale is said in escapes.

    Who starts programs without a terminal may close a stream; the next file that is opened would
    get its number, and be taken for it. Where SIGCHLD is ignored no exit status is kept: wait(2).
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest number that is free is this one.
            os.set_inheritable(descriptor, True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as we live
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # A locale may lack letters of a path.
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
