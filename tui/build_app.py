"""A build on the screens: it runs on a thread, and hands the terminal over at its end."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Final, Generic

from textual.drivers.linux_driver import LinuxDriver

from buildperm.presentation import console
from buildperm.presentation.build_tally import BuildTally
from buildperm.presentation.build_viewer import Result, refusal_text
from buildperm.tui.screen_app import ScreenApp
from buildperm.tui.screens.building import RunScreen, StopScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.screen import Screen

    from buildperm.cargo.script_progress import Progress
    from buildperm.presentation.build_tally import CrateVersion
    from buildperm.presentation.build_viewer import Appraise, Build
    from buildperm.tui.appearance import Appearance

_LOOK_S: Final = 0.1  # How often the build is looked at: nobody reads faster.
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LEAVE: Final = "\x1b[?1049l"  # xterm: back from the alternate screen.
_SHOW_CURSOR: Final = "\x1b[?25h"


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


class _KeptScreenDriver(LinuxDriver):
    """Leaves what is on the terminal there, for who comes next."""

    is_kept = False

    def write(self, data: str) -> None:
        """Write to the terminal, except for what would take the last picture away."""
        if not (self.is_kept and data in {_LEAVE, _SHOW_CURSOR}):
            super().write(data)


class BuildApp(ScreenApp[None]):
    """Shows a build until it ends, or somebody ends it.

    Args:
        heading: What is built: the command and the workspace.
        thread: The build; it is started here.
        appearance: How it looks, and which keys work.
    """

    def __init__(self, heading: str, thread: BuildThread[Result], appearance: Appearance) -> None:
        super().__init__(appearance, driver=_KeptScreenDriver)
        self._thread = thread
        self._is_over = False
        self._screen = RunScreen(heading, thread.tally, thread.clock)

    def get_default_screen(self) -> Screen[None]:
        """Show the build."""
        return self._screen

    def on_mount(self) -> None:
        """Begin to build, and to look at it."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.stop)
        self._thread.start()
        self.set_interval(_LOOK_S, self._look)

    def on_unmount(self) -> None:
        """Give the signals their meaning back."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    def action_leave(self) -> None:
        """Ask whether to stop; being asked twice is an answer."""
        if isinstance(self.screen, StopScreen):
            self.screen.dismiss(True)
        elif self._thread.is_interrupted:
            self.stop()
        else:
            self.push_screen(StopScreen(), lambda stops: self.stop() if stops else None)

    def stop(self) -> None:
        """End the build and everything that it has started."""
        self._screen.show_stopping()
        self._thread.interrupt()

    def _look(self) -> None:
        self._screen.look()
        if not (self._thread.is_running or self._is_over):
            self._is_over = True
            self._screen.show_ended()
            if isinstance(self._driver, _KeptScreenDriver):
                self._driver.is_kept = True
            self.call_after_refresh(self.exit)


class BuildScreens:
    """A build on the terminal, whose last picture stays until somebody else draws or it leaves."""

    def __init__(self, heading: str, appearance: Appearance) -> None:
        self._heading = heading
        self._appearance = appearance

    def run(self, appraise: Appraise, build: Build[Result]) -> Result:
        """Run a build to its end, and return what it returns; its errors pass through."""
        thread = BuildThread(appraise, build)
        try:
            app = BuildApp(self._heading, thread, self._appearance)
            app.run(mouse=self._appearance.has_mouse)
        finally:
            if thread.is_running:  # The terminal has gone, or the screen has failed.
                thread.interrupt()
        try:
            return thread.result()
        finally:
            for line in thread.tally.lines()[1]:
                console.print_message(line.decode("utf-8", "replace"))

    def leave(self) -> None:
        """Give the terminal back."""
        if sys.__stderr__ is not None:
            sys.__stderr__.write(f"{_LEAVE}{_SHOW_CURSOR}")
            sys.__stderr__.flush()
