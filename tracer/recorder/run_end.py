"""How a run ended: by itself, or stopped, and by what; one class for each way.

Part of the supervisor: os only.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


class Exited:
    """The build script exited by itself."""

    __slots__ = ("exit_status",)

    def __init__(self, status: int) -> None:
        self.exit_status = status


class KilledBySignal:
    """A signal killed the build script."""

    __slots__ = ("signal",)

    def __init__(self, signal: int) -> None:
        self.signal = signal

    @property
    def exit_status(self) -> int:
        """128 and the number of the signal, as shells say it."""
        return 128 + self.signal


class TimedOut:
    """It ran for longer than the limit `seconds`."""

    __slots__ = ()
    limit = "seconds"


class TooManyProcesses:
    """More processes were alive at once than the limit `processes`."""

    __slots__ = ()
    limit = "processes"


class TooMuchMemory:
    """Its processes took more memory than the limit `memory_bytes`."""

    __slots__ = ()
    limit = "memory_bytes"


class TooMuchOutput:
    """It put more into its folders than the limit `output_bytes`."""

    __slots__ = ()
    limit = "output_bytes"


class TooManyFiles:
    """It put more files into its folders than the limit `output_files`."""

    __slots__ = ()
    limit = "output_files"


class TooMuchPrinted:
    """It printed more to standard output than the limit `stdout_bytes`."""

    __slots__ = ()
    limit = "stdout_bytes"


class StdoutLost:
    """Its standard output could not be kept."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason  # Such as a full disk.


if TYPE_CHECKING:
    ScriptEnd: TypeAlias = Exited | KilledBySignal
    """How the build script itself ended."""

    OutputExcess: TypeAlias = TooMuchOutput | TooManyFiles
    LimitExceeded: TypeAlias = (
        TimedOut | TooManyProcesses | TooMuchMemory | OutputExcess | TooMuchPrinted
    )
    StopCause: TypeAlias = LimitExceeded | StdoutLost
    """Why the supervisor stopped the run."""


def script_end(wait_status: int) -> ScriptEnd:
    """Return how the build script ended: wait(2)."""
    if os.WIFSIGNALED(wait_status):
        return KilledBySignal(os.WTERMSIG(wait_status))
    return Exited(os.WEXITSTATUS(wait_status))


def sentence(cause: StopCause) -> str:
    """Say why the run was stopped."""
    match cause:
        case TimedOut():
            return "it ran for too long"
        case TooManyProcesses():
            return "it had too many processes at once"
        case TooMuchMemory():
            return "its processes took too much memory"
        case TooMuchOutput():
            return "it put too much into its output folder"
        case TooManyFiles():
            return "it put too many files into its output folder"
        case TooMuchPrinted():
            return "it printed more to standard output than a run may"
        case StdoutLost():
            return f"its standard output cannot be kept: {cause.reason}"
