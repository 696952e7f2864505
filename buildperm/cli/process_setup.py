"""Prepares the process for a command, whatever state it was started in."""

from __future__ import annotations

import gc
import io
import os
import signal
import sys

from buildperm import printable
from buildperm.presentation.preferences import PreferencesFile, started_environment

_YOUNG_MOST = 50_000
"""Objects that are made before the collector looks for cycles. What commands read has hardly any,
and they end soon; with the 700 of Python they spend a twentieth of their time on looking."""


def prepare_terminal() -> None:
    """Find out whether a terminal that we write to has more than ASCII.

    Raises:
        BuildpermError: Something in the configuration file is wrong.
    """
    if not (sys.stdout.isatty() or sys.stderr.isatty()):
        return
    preferences = PreferencesFile.load().preferences
    printable.use_ascii(only=preferences.is_ascii_only(started_environment()))


def prepare_process() -> None:
    """Open standard streams that are closed, escape what the locale lacks, and restore SIGCHLD.

    Whoever starts programs without a terminal may close a stream; the next file to be opened would
    get its number and be taken for it. If SIGCHLD is ignored, no exit status is kept: wait(2).
    """
    gc.set_threshold(_YOUNG_MOST)
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # This is the lowest free number.
            os.set_inheritable(descriptor, True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as we live
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # A path may have letters that the locale lacks.
    if sys.platform != "win32" and signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
