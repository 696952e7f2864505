"""The list of proposals that one answer would decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.containers import Vertical
from textual.screen import ModalScreen

from buildperm.policy.decision import Answer
from buildperm.presentation.wording import ANSWER_VERBS, GLYPHS, plural, risk_word
from buildperm.printable import shown
from buildperm.tui.key_bindings import bindings
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.sheet import Sheet
from buildperm.tui.widgets.styled_line import Line, Piece, hanging

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from buildperm.policy.proposal import Proposal
    from buildperm.tui.type_ahead import TypeAheadGuard


class BatchScreen(ModalScreen[Answer | None]):
    """Lists the proposals concerned and those left out; dismisses with the answer, or None."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("batch")

    def __init__(
        self,
        guard: TypeAheadGuard,
        offers: Mapping[str, Answer],
        rows: Sequence[tuple[Proposal, str]],
        left_out: Sequence[str],
    ) -> None:
        super().__init__()
        self._guard = guard
        self._offers = offers  # What each key stands for: `y` or both of `a` and `d`.
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
        rows.border_title = self._heading()
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
        """Swallow keys that were pressed for another screen."""
        self._guard.hold()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide the keys that do nothing here."""
        return action != "answer" or parameters[0] in self._offers

    def action_answer(self, key: str) -> None:
        """Take the answer, unless the key came too early to be one."""
        if not self._guard.swallows():
            self.dismiss(self._offers[key])

    def action_back(self) -> None:
        """Decide nothing."""
        self.dismiss(None)

    @on(Sheet.Clicked)
    def _answer_clicked(self, clicked: Sheet.Clicked) -> None:
        answers = (*self._offers.values(), None)
        self.dismiss(answers[clicked.target])

    def _heading(self) -> str:
        verb = " or ".join(ANSWER_VERBS[answer] for answer in self._offers.values())
        return f"{verb.capitalize()} {plural(len(self._rows), 'proposal')}"

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
        for number, (key, answer) in enumerate(self._offers.items()):
            label = (f"{ANSWER_VERBS[answer]} all of these", "strong")
            yield Line(((f"  {key}  ", "accent"), label), (), number)
        yield Line((("Esc  ", "accent"), ("go back", "")), (), len(self._offers))


class EverywhereScreen(BatchScreen):
    """Lists the crates that ask for the same access."""

    def _heading(self) -> str:
        return f"The same in {plural(len(self._rows), 'crate')}"

    def _row_lines(self, cells: int) -> Iterator[Line]:
        proposal, rule = self._rows[0]
        word = risk_word(proposal.risk)
        lead: Piece = (f"{GLYPHS[proposal.risk]} {word}", word)
        yield from hanging((lead, ("  ", "")), shown(proposal.title), "strong", cells)
        indent: Piece = (" " * (len(lead[0]) + 2), "")
        yield from hanging((indent,), rule, "muted", cells)
        yield Line()
        for each, _ in self._rows:
            here = "  this one" if each is proposal else ""
            yield Line(
                (
                    (f"  {shown(each.crate)}", "strong"),
                    (f" {shown(each.version)}", "muted"),
                    (here, "accent"),
                )
            )
