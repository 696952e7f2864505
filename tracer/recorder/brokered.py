"""What a broker answers for a system call that it was asked to make for a stopped thread.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from buildperm.tracer.recorder.observation import Decoded, SyscallInfo
    from buildperm.tracer.recorder.process_tree import Process

    Answer: TypeAlias = "Result | Refused | Substitute"
    Broker: TypeAlias = Callable[[int, Process, SyscallInfo, Decoded | None], Answer]
    """Makes the call in which a thread is stopped.

    It gets the thread, its process, the stop, and the arguments that the recorder has read, or
    None. `decoded` of the answer goes into the recording in their place: the arguments that were
    judged. None leaves the call out of the recording.
    """


class Result:
    """The call was made, or fails as the kernel would have let it fail."""

    __slots__ = ("decoded", "value")

    def __init__(self, value: int, decoded: Decoded | None) -> None:
        self.value = value  # -errno for a failure.
        self.decoded = decoded


class Refused:
    """The call was not made."""

    __slots__ = ("decoded", "errno")

    def __init__(self, errno: int, decoded: Decoded | None) -> None:
        self.errno = errno  # With which it fails.
        self.decoded = decoded


class Substitute:
    """The thread makes another call now, in the place of its own."""

    __slots__ = ("arguments", "decoded", "number", "translate")

    def __init__(
        self,
        number: int,
        arguments: tuple[int, ...],
        decoded: Decoded | None,
        translate: Callable[[int], int] = int,
    ) -> None:
        self.number = number
        self.arguments = arguments
        self.decoded = decoded
        self.translate = translate  # From the result of this call to that of the thread's own.
