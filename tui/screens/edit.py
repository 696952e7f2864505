"""A rule is edited by hand, and judged while it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical, VerticalScroll
from textual.widgets import Input

from buildperm.policy.rule import Rule
from buildperm.presentation.rule_check import check
from buildperm.printable import shown
from buildperm.tui.key_bindings import bindings
from buildperm.tui.key_names import key_name, with_keys
from buildperm.tui.screens.typed_lines import BACK, KEEP, TypedLinesScreen
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.styled_line import Line, hanging

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from buildperm.policy.proposal import Proposal


class EditScreen(TypedLinesScreen[tuple[Rule, ...]]):
    """Takes rules, one a line; dismisses with them, or with None. It allows nothing yet."""

    NAME = "edit"
    BINDINGS: ClassVar[list[BindingType]] = bindings("edit")

    def __init__(self, proposal: Proposal, lines: Sequence[str]) -> None:
        super().__init__()
        self._proposal = proposal
        self._lines = list(lines)
        self._check = check(lines, proposal)

    def compose(self) -> ComposeResult:
        """Lay out the lines above what is said of them."""
        with Vertical(classes="dialog", id="edit"):
            with VerticalScroll(id="edit-lines", can_focus=False):
                for line in (*self._lines, ""):
                    yield Input(line, compact=True, select_on_focus=False)
            yield Page(id="edit-told")

    def on_mount(self) -> None:
        """Begin at the end of the first line."""
        lines = self.query_one("#edit-lines", VerticalScroll)
        lines.border_title = f"Edit: {shown(self._proposal.title)}"
        told = self.query_one("#edit-told", Page)
        told.can_focus = False
        self.query(Input).first().focus()
        self.show()

    def judge(self) -> None:
        """Look at the rules that are typed now."""
        self._check = check((each.value for each in self.query(Input)), self._proposal)

    def kept(self) -> tuple[Rule, ...] | None:
        """Return the rules if they can be granted."""
        return self._check.rules if self._check.is_fine else None

    def told(self, cells: int) -> Iterator[Line]:
        """Yield what speaks against the rules, or what they cover."""
        for problem in self._check.problems:
            yield from hanging((("✗ ", "bad"),), problem, "", cells)
        for number, fact in enumerate(self._check.facts):
            lead = (("✓ ", "good"),) if number == 0 else (("  ", ""),)
            yield from hanging(lead, fact, "" if number == 0 else "muted", cells)
        yield Line()
        if self._check.is_fine:
            told = "keeps this rule; it allows nothing yet: {review.allow} does, back in the list."
            lead = ((f"{key_name(self.app, 'edit.keep')} ", "accent"),)
            yield from hanging(lead, with_keys(self.app, told), "", cells, target=KEEP)
        lead = ((f"{key_name(self.app, 'edit.back')} ", "accent"),)
        yield from hanging(lead, "leaves the rule as it was.", "", cells, target=BACK)
