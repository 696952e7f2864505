"""A question that only a word answers, typed by hand: no single key, click or paste does."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.containers import Vertical
from textual.widgets import Input

from buildperm.tui.screens.dialog import Dialog
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.sheet import Sheet
from buildperm.tui.widgets.styled_line import Line, hanging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual import events
    from textual.app import ComposeResult

    from buildperm.tui.key_pace import KeyPace

BY_HAND_S: Final = 0.5
"""Seconds that nobody types a long word in; a paste takes a fraction of it."""

_NOTE_LINES: Final = 2
_LETTER_S: Final = 0.06  # Nobody types a letter faster.


class TypedWord(Input):
    """A line that only takes what is typed key by key."""

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()  # It bubbles: the screen says that it does nothing.


class TypedWordScreen(Dialog[bool]):
    """Shows what a word stands for; dismisses with whether it was typed.

    A subclass has the keys `escape` for `back`, and names its widgets.
    """

    NAME: ClassVar[str]
    OTHERWISE: ClassVar[str]
    """What is said where something else was typed."""

    def __init__(self, word: str, title: str, pace: KeyPace) -> None:
        super().__init__()
        self._word = word
        self._title = title
        self._pace = pace
        self._began_s = 0.0  # When the first letter of the word was typed.

    def lines(self, cells: int) -> Iterator[Line]:
        """Yield what stands above the line to type in."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Lay out the question above the line to type in."""
        with Vertical(classes="dialog typed-word", id=self.NAME):
            yield Page(id=f"{self.NAME}-text")
            yield TypedWord(placeholder=self._word, compact=True, select_on_focus=False)
            yield Page(id=f"{self.NAME}-note")

    def on_mount(self) -> None:
        """Ask."""
        self.query_one(f"#{self.NAME}").border_title = self._title
        page = self.query_one(f"#{self.NAME}-text", Page)
        page.can_focus = False
        page.show(self.lines)
        self.call_after_refresh(self._fit)
        note = self.query_one(f"#{self.NAME}-note", Page)
        note.can_focus = False
        note.styles.height = _NOTE_LINES
        self.query_one(TypedWord).focus()

    def _fit(self) -> None:
        """Make room for all that is said, once its width is known; the line to type in stays."""
        page = self.query_one(f"#{self.NAME}-text", Page)
        room = self.size.height * 9 // 10 - _NOTE_LINES - 3  # The line to type in, the border.
        page.styles.height = max(min(page.line_count, room), 1)

    def action_back(self) -> None:
        """Do nothing of it."""
        self.dismiss(False)

    @on(Sheet.Clicked)
    def _leave(self) -> None:
        self.action_back()

    @on(Input.Changed)
    def _take_letter(self, message: Input.Changed) -> None:
        if len(message.value) <= 1:
            self._began_s = self._pace.now_s()

    @on(Input.Submitted)
    def _take_word(self, message: Input.Submitted) -> None:
        told = f"{self.OTHERWISE}: that was not {self._word}."
        if message.value.strip().lower() == self._word.lower():
            if self._pace.now_s() - self._began_s >= min(BY_HAND_S, _LETTER_S * len(self._word)):
                self.dismiss(True)
                return
            told = f"{self.OTHERWISE}: that came too fast to be typed. Type it by hand."
        message.input.value = ""
        note = self.query_one(f"#{self.NAME}-note", Page)
        note.show(lambda cells: hanging((), told, "waiting", cells))
