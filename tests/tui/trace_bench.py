"""A trace of one or two runs, for the tests of its screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.tui.appearance import Appearance
from buildperm.tui.screens.trace_screen import TraceScreen
from buildperm.tui.trace_app import TraceApp
from buildperm.tui.widgets.cursor_list import CursorList
from buildperm.tui.widgets.sheet import Sheet
from tests.presentation.trace_recordings import traced_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from textual.pilot import Pilot


class TraceBench:
    """A trace of one or two runs."""

    def __init__(self, folder: Path, *, runs: int = 1, words: str = "") -> None:
        traced = [traced_run(folder / str(number)) for number in range(runs)]
        self.app = TraceApp("gen 1.0", traced, words, (), Appearance())

    @property
    def screen(self) -> TraceScreen:
        """The screen."""
        assert isinstance(self.app.screen, TraceScreen)
        return self.app.screen

    def list(self, name: str) -> CursorList:
        """Return one of the lists."""
        return self.screen.query_one(f"#trace-{name}", CursorList)

    def text(self, name: str) -> str:
        """Return what a part of the screen shows."""
        sheet = self.screen.query_one(f"#trace-{name}", Sheet)
        rows = range(sheet.size.height)
        return "\n".join(sheet.render_line(row).text.rstrip() for row in rows).rstrip()

    async def until(self, pilot: Pilot[None], holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        for _ in range(200):
            await pilot.pause(0.02)
            if holds():
                return
        raise AssertionError(self.text("events"))

    async def ready(self, pilot: Pilot[None], count: int) -> None:
        """Wait until so many events are shown."""
        await self.until(pilot, lambda: self.list("events").count(80) == count)
