"""Has a person asked about what a build script was refused, while Cargo waits for it.

The script has ended by then, and all that it has started. What asks is a program of its own,
`workflow/live_question.py`: it needs much that a supervisor does not load. It answers with the
session under which the script is to run once more, or with nothing.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import select
import sys

from buildperm.supervisor import session as sessions
from buildperm.supervisor.kept_output import KeptOutput

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable

    from buildperm.supervisor.run import Run
    from buildperm.supervisor.session import Session, SessionPackage
else:
    import _signal

MOST_ROUNDS = 8
"""So often one script runs once more because of an answer."""

_ASKER = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "workflow", "live_question.py"
)
_LOOK_UP_EVERY_MS = 200
_CHUNK = 1 << 16
_HELD = ("read", "write", "exec", "net", "env", "directives", "deny", "secrets", "withheld")


class LiveQuestion:
    """What one script has a person asked, and what lay in OUT_DIR before it ran."""

    def __init__(self, has_to_end: Callable[[], bool]) -> None:
        """Prepare; `has_to_end` tells whether a signal has asked for an end."""
        self._has_to_end = has_to_end
        self._rounds = MOST_ROUNDS
        self._kept: KeptOutput | None = None

    def prepare(self, run: Run) -> None:
        """Keep what the next run changes, if somebody may be there to be asked about it.

        Raises:
            OSError: It cannot be kept.
        """
        self.end()
        if self._rounds and _is_in_foreground():
            folder = os.path.dirname(run.subject.recording) + b"/before"
            self._kept = KeptOutput(run.places["OUT_DIR"], folder)

    def ask(self, run: Run, cargo: int) -> Session | None:
        """Have a person asked; return the session for another run, None where there is to be none.

        Where nobody can be asked, a desktop may be told.

        Args:
            run: What has ended, and is recorded.
            cargo: The process ID of the Cargo that waits.
        """
        if not self._rounds:
            return None
        self._rounds -= 1
        unit = os.path.dirname(os.path.dirname(run.subject.recording))
        told = [run.session["ask"], b"%d" % cargo, unit]
        told.append(b"%d" % (run.session.get("ask_timeout_s", 0) if self._kept else 0))
        before = [*run.session.get("ask_left", ()), *run.session.get("ask_once", ())]
        told += [each.encode() for each in before]
        words = [os.fsencode(sys.executable), b"-I", os.fsencode(_ASKER), *told]
        reply = _reply(words, self._has_to_end)
        if not reply or self._kept is None or self._has_to_end():
            return None
        try:
            return sessions.parse(reply)
        except ValueError:
            return None

    def begin_again(self, package: SessionPackage, before: SessionPackage) -> bool:
        """Put OUT_DIR back to where the last run began, if the package is held to something else.

        Raises:
            OSError: It cannot be put back.
        """
        is_other = any(package.get(name) != before.get(name) for name in _HELD)
        if is_other and self._kept is not None:
            self._kept.restore()
        return is_other and self._kept is not None

    def end(self) -> None:
        """Remove what was kept."""
        if self._kept is not None:
            self._kept.remove()
            self._kept = None


def _is_in_foreground() -> bool:
    """Tell whether this process may read from the terminal that Cargo was started in, if any.

    tcgetpgrp(3): a job in the background may not.
    """
    try:
        terminal = os.open(b"/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _reply(words: list[bytes], has_to_end: Callable[[], bool]) -> bytes:
    """Return what a program writes to its standard output; nothing if it fails."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    variables = {name: value for name, value in os.environb.items() if not name.startswith(b"LD_")}
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, b"/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, writing, 1),
    ]
    try:
        child = os.posix_spawn(words[0], words, variables, file_actions=actions)
    except OSError:
        os.close(reading)
        return b""
    finally:
        os.close(writing)
    told = bytearray()
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    try:
        while not has_to_end():
            if not poll.poll(_LOOK_UP_EVERY_MS):
                continue
            chunk = os.read(reading, _CHUNK)
            if not chunk:
                break
            told += chunk
    finally:
        os.close(reading)
        if has_to_end():
            os.kill(child, _signal.SIGTERM)
        _, status = os.waitpid(child, 0)
    return b"" if status else bytes(told)
