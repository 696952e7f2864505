"""Has a process of its own do what is too heavy for a supervisor, and waits for it.

It gets the path of a request as its last argument. What it prints is its answer.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Mapping
    from typing import Any
else:
    import _signal

_POLL_S = 0.01


def ask(
    told: Mapping[str, Any], folder: bytes, most_s: float, has_to_end: Callable[[], bool]
) -> tuple[int, bytes] | None:
    """Return how the process has ended, as waitpid(2) says it, and the path of its answer.

    Args:
        told: Its `command` and `environ`.
        folder: Where `request.json` lies, and the answer is put.
        most_s: So many seconds it may take.
        has_to_end: Tells whether the build has to end; it is asked all the time.

    Returns:
        None if it took too long, or the build had to end: it has been killed.

    Raises:
        OSError: Nobody can be asked.
    """
    said = folder + b"/said"
    words = [*told["command"], folder + b"/request.json"]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    pid = os.posix_spawn(
        words[0],
        words,
        told["environ"],
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, b"/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, said, flags, 0o600),
            (os.POSIX_SPAWN_OPEN, 2, b"/dev/null", os.O_WRONLY, 0),
        ],
    )
    ends = time.monotonic() + most_s
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status, said
        if has_to_end() or time.monotonic() > ends:
            os.kill(pid, _signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(_POLL_S)
