"""A build on the screens: it runs on a thread, and hands the terminal over at its end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from buildperm.presentation import console
from buildperm.presentation.build_thread import BuildThread
from buildperm.presentation.build_viewer import Result
from buildperm.tui.screen_app import ScreenApp
from buildperm.tui.screens.building import RunScreen, StopScreen
from buildperm.tui.terminal_driver import TerminalDriver

if TYPE_CHECKING:
    from textual.screen import Screen

    from buildperm.tui.appearance import Appearance

_LOOK_S: Final = 0.1  # How often the build is looked at: nobody reads faster.
_LEAVE: Final = "\x1b[?1049l"  # xterm: back from the alternate screen.
_SHOW_CURSOR: Final = "\x1b[?25h"


class _KeptScreenDriver(TerminalDriver):
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
        thread: The build, which has been started.
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
        """Begin to look at the build."""
        self.set_interval(_LOOK_S, self._look)

    def interrupt(self) -> None:
        """Stop the build: a signal came."""
        self.stop()

    def action_leave(self) -> None:
        """Ask whether to stop; being asked twice is an answer."""
        if isinstance(self.screen, StopScreen):
            self.screen.dismiss(True)
        elif self._thread.is_interrupted:
            self.stop()
            self._screen.explain("It is being stopped already.")
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
        self._is_drawn = False

    def show(self, thread: BuildThread[Result]) -> Result:
        """Show a build to its end, and return what it returns; its errors pass through."""
        try:
            if thread.is_running:
                self._is_drawn = True
                app = BuildApp(self._heading, thread, self._appearance)
                app.present()
        finally:
            if thread.is_running:  # The terminal has gone, or the screen has failed.
                thread.interrupt()
        try:
            return thread.result()
        finally:
            for line in thread.tally.lines()[1]:
                console.print_message(line.decode("utf-8", "replace"))

    def leave(self) -> None:
        """Give the terminal back, if it was taken."""
        if self._is_drawn and sys.__stderr__ is not None:
            sys.__stderr__.write(f"{_LEAVE}{_SHOW_CURSOR}")
            sys.__stderr__.flush()
