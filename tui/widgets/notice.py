"""The line above the footer: one sentence, such as why a key was not obeyed."""

from __future__ import annotations

from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.styled_line import Line


class Notice(Page, can_focus=False):
    """Shows a sentence while there is one."""

    def __init__(self) -> None:
        super().__init__(id="notice")
        self.text = ""
        """What is shown; empty if nothing is."""

    def tell(self, text: str) -> None:
        """Show a sentence; an empty one hides the line."""
        if text != self.text:
            self.text = text
            self.set_class(bool(text), "-shown")  # A class of the screen would style all it has.
            self.show(lambda cells: [Line(((text, "waiting"),))])
