"""What every screen has: no key does nothing in silence."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from textual import on
from textual.events import ScreenResume
from textual.screen import Screen, ScreenResultType

from buildperm.tui.unobeyed_key import PASTED, unobeyed
from buildperm.tui.widgets.notice import Notice
from buildperm.tui.widgets.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual import events


class TellingScreen(Screen[ScreenResultType]):
    """Says why it does not obey a key, until the next one; by default on its notice."""

    _styled_at: object = None
    """What the theme was when the screen was last shown."""

    async def on_event(self, event: events.Event) -> None:
        """Take an event; a screen that has just come up is styled already."""
        if isinstance(event, ScreenResume):
            event.refresh_styles = self._styled_at not in (None, self.app.theme)
            self._styled_at = self.app.theme
        await super().on_event(event)

    def explain(self, reason: str) -> None:
        """Show why the latest key did nothing; an empty reason takes an earlier one away."""
        self.query_one(Notice).tell(reason)

    def obstacles(self) -> Mapping[str, str]:
        """Return why actions would do nothing now, by what their keys call."""
        return MappingProxyType({})

    def why_not(self, event: events.Key) -> str:
        """Say why a key is not obeyed; empty if it is."""
        return unobeyed(self, event, self.obstacles())

    def on_key(self, event: events.Key) -> None:
        """Say why a key is not obeyed, before the application obeys it."""
        self.explain(self.why_not(event))

    def on_paste(self) -> None:
        """Say that a paste, which no line to type in has taken, does nothing."""
        self.explain(PASTED)

    @on(Sheet.Unmoved)
    def _explain_standstill(self, unmoved: Sheet.Unmoved) -> None:
        unmoved.stop()
        self.explain(unmoved.reason)
