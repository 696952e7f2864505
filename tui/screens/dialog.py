"""What every dialog has: a click outside of it leaves it as its key does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.screen import ModalScreen, ScreenResultType

from buildperm.tui.screens.telling_screen import TellingScreen
from buildperm.tui.widgets.notice import Notice

if TYPE_CHECKING:
    from textual import events


class Dialog(ModalScreen[ScreenResultType], TellingScreen[ScreenResultType]):
    """A question in place of a screen, whose keys are not seen as long as they do nothing.

    Why a key is not obeyed stands in the place of that screen's footer.
    """

    def explain(self, reason: str) -> None:
        """Show why the latest key did nothing, on a line that is made when it is needed."""
        notices = self.query(Notice)
        if notices:
            notices.first().tell(reason)
        elif reason:
            notice = Notice()
            self.mount(notice)
            notice.tell(reason)

    def action_back(self) -> None:
        """Leave the dialog as if it had not been opened."""
        raise NotImplementedError

    def on_click(self, event: events.Click) -> None:
        """Leave where the click is outside."""
        box = self.query_one(".dialog").region
        if not box.contains(event.screen_x, event.screen_y):
            event.stop()
            self.action_back()
