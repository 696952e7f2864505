"""Ends a command at once that waits for somebody else: a store, which may take its time."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

from buildperm.errors import ExitCode

_LOOK_S = 0.2  # Between two looks whether somebody has interrupted.


def apart(work: Callable[[], int]) -> int:
    """Do `work` in a thread, so that Ctrl+C ends the process while it waits; return its exit code.

    A request that is under way cannot be called back, and Python waits for the threads of a pool.
    Whatever `work` writes has to be complete or not there at any moment.

    Raises:
        Exception: What `work` has raised.
    """
    done: Future[int] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
        while thread.is_alive():  # A signal right before a wait without end would not end it.
            thread.join(_LOOK_S)
        return done.result()
    except KeyboardInterrupt:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # Nobody may read it any more.
                if stream is sys.stderr:
                    stream.write("buildperm: interrupted\n")
                stream.flush()
        os._exit(ExitCode.INTERRUPTED)
