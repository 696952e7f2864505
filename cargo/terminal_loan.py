"""Lends the terminal to a process group of a child, as a shell does for its jobs.

Cargo has a process group of its own, so that it can be ended with all that it has started. Only one
group of a session may read from the terminal: credentials(7), "Process groups and job control".
"""

from __future__ import annotations

import os
import signal

_TERMINAL = 0  # Standard input, which the child has inherited.


class TerminalLoan:
    """The terminal of this process, if it has one, in the hands of a child's process group."""

    def __init__(self, child: int) -> None:
        """Prepare for the child `child`, which leads its group and takes the terminal itself."""
        self._child = child

    def follow(self) -> None:
        """Stop together with the child, as Ctrl+Z wants it; go on with it afterwards."""
        stopped = os.waitid(os.P_PID, self._child, os.WSTOPPED | os.WNOHANG)
        if stopped is None:
            return
        if not (stopped.si_status in (signal.SIGTTIN, signal.SIGTTOU) and is_ours()):
            self._take_back()
            # To all of the job that the shell knows; it has no effect where no shell would go on.
            os.kill(0, signal.SIGTSTP)
        if is_ours():
            _give_to(self._child)
        try:
            os.killpg(self._child, signal.SIGCONT)
        except ProcessLookupError:
            pass  # It has been killed meanwhile.

    def end(self) -> None:
        """Take the terminal back, and wake what has waited for it beside this process."""
        if self._take_back():
            os.kill(0, signal.SIGCONT)

    def _take_back(self) -> bool:
        """Make this process's group the one that may read; say whether the child's was."""
        if foreground() != self._child:
            return False
        _give_to(os.getpgrp())
        return True


def is_ours() -> bool:
    """Tell whether standard input is the terminal of this process, and its group may read there."""
    group = foreground()
    return group != 0 and group == os.getpgrp()


def foreground() -> int:
    """Return the process group that may read from standard input; 0 where that is no terminal."""
    try:
        return os.tcgetpgrp(_TERMINAL)
    except OSError:
        return 0


def _give_to(group: int) -> None:
    """Let a process group read from the terminal; tcsetpgrp(3): without SIGTTOU from background."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
    try:
        os.tcsetpgrp(_TERMINAL, group)
    except OSError:
        pass  # The terminal or the group is gone.
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
