"""The question before grants are written under which something fails: it takes a typed word."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from buildperm.presentation.closing_text import OVERRIDE
from buildperm.printable import shown
from buildperm.tui.key_bindings import bindings
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.styled_line import Line, hanging

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from buildperm.presentation.front_end import Failure
    from buildperm.tui.key_pace import KeyPace

BY_HAND_S: Final = 0.5
"""Seconds that nobody types the word in; a paste takes a fraction of it."""

_MOST: Final = 8  # Failures that are listed.


class TypedWord(Input):
    """A line that only takes what is typed key by key."""

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()


class OverrideScreen(ModalScreen[bool]):
    """Lists what fails; dismisses with whether to write all the same."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("override")

    def __init__(self, failures: Sequence[Failure], pace: KeyPace) -> None:
        super().__init__()
        self._failures = failures
        self._pace = pace
        self._began_s = 0.0  # When the first letter of the word was typed.

    def compose(self) -> ComposeResult:
        """Lay out the question above the line to type in."""
        with Vertical(classes="dialog", id="override"):
            yield Page(id="override-text")
            yield TypedWord(placeholder=OVERRIDE, compact=True, select_on_focus=False)
            yield Page(id="override-note")

    def on_mount(self) -> None:
        """Ask."""
        page = self.query_one("#override-text", Page)
        page.border_title = "The check failed"
        page.can_focus = False
        page.show(self._lines)
        self.call_after_refresh(self._fit)
        note = self.query_one("#override-note", Page)
        note.can_focus = False
        note.styles.height = 2
        self.query_one(TypedWord).focus()

    def _fit(self) -> None:
        """Make room for all that is said, once its width is known."""
        page = self.query_one("#override-text", Page)
        page.styles.height = page.line_count + 2  # The border.

    def action_back(self) -> None:
        """Write nothing."""
        self.dismiss(False)

    @on(Input.Changed)
    def _take_letter(self, message: Input.Changed) -> None:
        if len(message.value) <= 1:
            self._began_s = self._pace.now_s()

    @on(Input.Submitted)
    def _take_word(self, message: Input.Submitted) -> None:
        told = f"Nothing is written: that was not {OVERRIDE}."
        if message.value.strip().lower() == OVERRIDE:
            if self._pace.now_s() - self._began_s >= BY_HAND_S:
                self.dismiss(True)
                return
            told = "Nothing is written: that came too fast to be typed. Type it by hand."
        message.input.value = ""
        note = self.query_one("#override-note", Page)
        note.show(lambda cells: hanging((), told, "waiting", cells))

    def _lines(self, cells: int) -> Iterator[Line]:
        for failure in self._failures[:_MOST]:
            lead = ((f"{shown(failure.crate)} {shown(failure.version)}  ", "strong"),)
            yield from hanging(lead, shown(failure.sentence), "", cells)
        if len(self._failures) > _MOST:
            yield Line(((f"and {len(self._failures) - _MOST} more", "muted"),))
        yield Line()
        text = (
            f"Written like this, `buildperm ci` fails, too. To write all the same, type {OVERRIDE} "
            "and Enter. Esc goes back."
        )
        yield from hanging((), text, "", cells)
