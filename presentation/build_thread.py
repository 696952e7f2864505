"""A build on a thread of its own, so that something else can show it meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic

from buildperm.cargo.script_progress import Progress
from buildperm.presentation.build_tally import BuildTally, CrateVersion
from buildperm.presentation.build_viewer import Appraise, Build, Result, refusal_text


class BuildThread(Generic[Result]):
    """One build on a thread of its own, which can be interrupted from any other."""

    def __init__(
        self,
        appraise: Appraise,
        build: Build[Result],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock  # Seconds, monotonic.
        self.tally = BuildTally(appraise, clock)
        self._build = build
        self._interrupt: Callable[[], None] | None = None  # Once it has begun.
        self._interruptions = 0
        self._lock = threading.Lock()
        self._result: tuple[Result] | None = None
        self._error: BaseException | None = None
        # The kernel ends Cargo with this thread, and what runs in it knows no screen.
        self._thread = threading.Thread(target=self._run, name="build")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._thread.is_alive()

    @property
    def is_interrupted(self) -> bool:
        """Whether somebody wants it to end."""
        return self._interruptions > 0

    def interrupt(self) -> None:
        """End it: kindly at first, at once when called again."""
        with self._lock:
            self._interruptions += 1
            interrupt = self._interrupt
        if interrupt is not None:
            interrupt()

    def result(self) -> Result:
        """Wait for it, and return what it returned; its errors pass through."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result[0]

    # As a listener of the build.

    def on_begin(self, scripts: list[CrateVersion], interrupt: Callable[[], None]) -> None:
        """Take note of the build scripts that may run, and of what ends the build."""
        self.tally.expect(scripts)
        with self._lock:
            self._interrupt = interrupt
            is_late = self._interruptions > 0
        if is_late:
            interrupt()

    def on_progress(self, step: Progress) -> None:
        """Take note of a script that has started or ended."""
        ended = self.tally.on_progress(step)
        if ended is not None and (text := refusal_text(ended)):
            self.tally.note(f"buildperm: {text}")

    def on_output(self, piece: bytes) -> None:
        """Take note of what Cargo wrote."""
        self.tally.on_output(piece)

    def _run(self) -> None:
        try:
            self._result = (self._build(self),)
        except BaseException as error:
            self._error = error
        finally:
            self.tally.finish()
