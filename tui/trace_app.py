"""A trace as a Textual application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.tui.screen_app import ScreenApp
from buildperm.tui.screens.trace_screen import TraceScreen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.screen import Screen

    from buildperm.presentation.traced_run import TracedRun
    from buildperm.tui.appearance import Appearance


class TraceApp(ScreenApp[None]):
    """Lets a person look through the recordings of a crate.

    Args:
        title: Name and version of the crate.
        runs: Its recordings; at least one.
        words: The filter to begin with.
        problems: Recordings that cannot be read, in sentences.
        appearance: How it looks, and which keys work.
    """

    def __init__(
        self,
        title: str,
        runs: Sequence[TracedRun],
        words: str,
        problems: Sequence[str],
        appearance: Appearance,
    ) -> None:
        super().__init__(appearance)
        self._trace = TraceScreen(title, runs, words, problems)

    def get_default_screen(self) -> Screen[None]:
        """Begin with the trace."""
        return self._trace

    def action_leave(self) -> None:
        """End."""
        self.exit()
