"""A dialog with lines to type in, judged while they are typed, above what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.screen import ScreenResultType
from textual.widgets import Input

from buildperm.tui.screens.dialog import Dialog
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildperm.tui.widgets.styled_line import Line

KEEP, BACK = range(2)
"""What a click on a line of what is said does."""


class TypedLinesScreen(Dialog[ScreenResultType | None]):
    """Dismisses with what was typed, once that can be kept, or with None.

    A subclass has the keys for `keep` and `back`, and names the page of what is said.
    """

    NAME: ClassVar[str]

    def judge(self) -> None:
        """Look at what is typed now."""
        raise NotImplementedError

    def kept(self) -> ScreenResultType | None:
        """Return what is typed; None where it cannot be kept."""
        raise NotImplementedError

    def told(self, cells: int) -> Iterator[Line]:
        """Yield what is said of it."""
        raise NotImplementedError

    def action_keep(self) -> None:
        """Keep what is typed if it can be."""
        kept = self.kept()
        if kept is None:
            self.explain("Not kept: it says above what is wrong.")
        else:
            self.dismiss(kept)

    def action_back(self) -> None:
        """Leave all as it was."""
        self.dismiss(None)

    def show(self) -> None:
        """Show what is said, in as much room as it takes at the width that it gets."""
        self._page.show(self.told)
        self.call_after_refresh(self._fit)

    @property
    def _page(self) -> Page:
        return self.query_one(f"#{self.NAME}-told", Page)

    def _fit(self) -> None:
        self._page.styles.height = self._page.line_count + 1  # The border.

    @on(Input.Changed)
    def _take_letter(self) -> None:
        self.judge()
        self.show()

    @on(Input.Submitted)
    def _take(self) -> None:
        self.action_keep()

    @on(Sheet.Clicked)
    def _take_click(self, clicked: Sheet.Clicked) -> None:
        if clicked.target == KEEP:
            self.action_keep()
        else:
            self.action_back()
