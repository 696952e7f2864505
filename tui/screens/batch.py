"""The list of what a decision on several proposals would decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from buildperm.tui.widgets.line import Line, Piece
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.sheet import Sheet
from buildperm.tui.wording import GLYPHS, plural, risk_word, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual.app import ComposeResult

    from buildperm.policy.proposal import Proposal
    from buildperm.tui.guard import Guard

_YES, _NO = 0, 1


class BatchScreen(ModalScreen[bool]):
    """Lists the proposals concerned and those left out; dismisses with whether to go on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "confirm", "Yes", id="batch.confirm", tooltip="Decide all that are listed"),
        Binding("escape,n,q", "back", "Back", id="batch.back", tooltip="Decide nothing"),
    ]

    def __init__(
        self, guard: Guard, verb: str, rows: Sequence[tuple[Proposal, str]], left_out: Sequence[str]
    ) -> None:
        super().__init__()
        self._guard = guard
        self._verb = verb  # "allow", "deny", "leave for later", "clear".
        self._rows = rows  # Each with the rule that would be stored.
        self._left_out = left_out  # One sentence each.

    def compose(self) -> ComposeResult:
        """Lay out the list above the answers."""
        with Vertical(classes="dialog", id="batch"):
            yield Page(id="batch-rows")
            yield Page(id="batch-answers")

    def on_mount(self) -> None:
        """List."""
        rows, answers = self.query_one("#batch-rows", Page), self.query_one("#batch-answers", Page)
        rows.border_title = f"{self._verb.capitalize()} {plural(len(self._rows), 'proposal')}"
        rows.show(self._row_lines)
        rows.focus()
        answers.can_focus = False
        answers.show(self._answer_lines)
        answers.styles.height = answers.line_count + 1  # The border.

    def on_resize(self) -> None:
        """Leave room for the answers below however many rows there are."""
        rows, answers = self.query_one("#batch-rows", Page), self.query_one("#batch-answers", Page)
        room = self.size.height * 9 // 10 - answers.line_count - 1
        rows.styles.height = max(min(rows.line_count + 1, room), 3)

    def on_screen_resume(self) -> None:
        """Keys pressed so far were not meant for this list."""
        self._guard.hold()

    def action_confirm(self) -> None:
        """Go on, unless the key came too early to be an answer."""
        if not self._guard.swallows():
            self.dismiss(True)

    def action_back(self) -> None:
        """Decide nothing."""
        self.dismiss(False)

    @on(Sheet.Clicked)
    def _answer_clicked(self, clicked: Sheet.Clicked) -> None:
        self.dismiss(clicked.target == _YES)

    def _row_lines(self, cells: int) -> Iterator[Line]:
        crate = ""
        for proposal, rule in self._rows:
            if proposal.crate != crate:
                crate = proposal.crate
                yield Line(((shown(crate), "strong"), (f" {shown(proposal.version)}", "muted")))
            lead: Piece = (
                f" {GLYPHS[proposal.risk]:>2} ",
                risk_word(proposal.risk),
            )  # No CRITICAL.
            yield Line((lead, (f"{shown(proposal.title)}  ", ""), (shown(rule), "muted")))

    def _answer_lines(self, cells: int) -> Iterator[Line]:
        yield Line()
        for sentence in self._left_out:
            yield Line(((sentence, "waiting"),))
        if self._left_out:
            yield Line()
        yield Line((("  y  ", "accent"), (f"{self._verb} all of these", "strong")), (), _YES)
        yield Line((("Esc  ", "accent"), ("go back", "")), (), _NO)
