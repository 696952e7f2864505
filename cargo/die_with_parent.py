"""Starts a program that dies with the process that asked for it.

It is called as `launch.py PARENT TERMINAL PROGRAM ARGS…`.

A program of its own, because setting this up in the child of a fork would run Python code in a copy
of a process that has threads. TERMINAL is `terminal` where the program's process group is to read
from the terminal that is its standard input, else `none`.
"""

from __future__ import annotations

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # First of all: Ctrl+C needs no traceback from here.

import ctypes  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402

_PR_SET_PDEATHSIG = 1  # prctl(2)


_TERMINAL = "terminal"


def main(parent: int, terminal: str, command: list[str]) -> int:
    """Become `command`, to be killed as soon as the thread that started this process ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        print(f"buildperm: prctl(PR_SET_PDEATHSIG): {os.strerror(error)}", file=sys.stderr)
        return 1
    if os.getppid() != parent:
        return 1  # It ended before it could be watched.
    if terminal == _TERMINAL:
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # tcsetpgrp(3), from the background.
        try:
            os.tcsetpgrp(0, os.getpgrp())
        except OSError:
            pass  # It is gone: the program will see that its input has ended.
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # By Python, and that would be inherited.
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        print(f"buildperm: cannot run `{command[0]}`: {error.strerror}", file=sys.stderr)
    return 127


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
