"""What became of a call that was made in the place of a thread, where that is not a number.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from buildperm.tracer.recorder.observation import Seen, Stopped
    from buildperm.tracer.recorder.process_tree import Process

    Broker: TypeAlias = Callable[[int, Process, Stopped], "int | BrokeredCall | None"]
    """Makes a call in the place of a stopped thread; its result, -errno for a failure.

    None leaves the call refused.
    """


class BrokeredCall:
    """What became of a call that was made in the place of a thread, where that is not a number."""

    __slots__ = ("instead", "is_refused", "result", "seen", "told")

    def __init__(
        self,
        result: int,
        seen: Seen | None,
        *,
        is_refused: bool = False,
        instead: tuple[int, tuple[int, ...]] | None = None,
        told: Callable[[int], int] = int,
    ) -> None:
        """Say what became of it.

        Args:
            result: Of the call, -errno for a failure; of no meaning where there is an `instead`.
            seen: The arguments that were judged, as the call's `enter` keeps them, for the
                recording; None: it is not recorded.
            is_refused: It was not made, and `result` says so.
            instead: Number and arguments of a call that the thread makes now, to wait for it.
            told: Takes the result of that call and returns what the thread is given as that of its
                own.
        """
        self.result = result
        self.seen = seen
        self.is_refused = is_refused
        self.instead = instead
        self.told = told
