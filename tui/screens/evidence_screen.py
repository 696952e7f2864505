"""The evidence of one proposal on the whole screen, for terminals without room beside the card."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from buildperm.presentation.wording import risk_word, short_title
from buildperm.printable import shown
from buildperm.tui.key_bindings import bindings
from buildperm.tui.screens.telling_screen import TellingScreen
from buildperm.tui.widgets.evidence_lines import TABS
from buildperm.tui.widgets.evidence_pane import SHOWN_ALREADY, EvidenceBody, EvidencePane
from buildperm.tui.widgets.hint_footer import HintFooter
from buildperm.tui.widgets.notice import Notice
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.styled_line import Line

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from buildperm.policy.proposal import Proposal
    from buildperm.presentation.agenda import Agenda
    from buildperm.presentation.front_end import EvidenceSource


class EvidenceScreen(TellingScreen[None]):
    """Shows all that is known about a proposal; decides nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("evidence"), *bindings("tabs")]

    def __init__(
        self, source: EvidenceSource, agenda: Agenda, proposal: Proposal, *, tab: int = 0
    ) -> None:
        super().__init__()
        self._source = source
        self._agenda = agenda
        self._proposal = proposal
        self._tab = tab

    def compose(self) -> ComposeResult:
        """Lay out what it is about, the tabs, and their content."""
        yield Page(id="evidence-head", classes="bar")
        yield EvidencePane(self._source, self._agenda, id="evidence")
        yield Notice()
        yield HintFooter()

    def on_mount(self) -> None:
        """Show the evidence."""
        head = self.query_one("#evidence-head", Page)
        head.can_focus = False
        head.show(self._head_lines)
        pane = self.query_one(EvidencePane)
        pane.tab = self._tab
        pane.show(self._proposal)
        self.query_one(EvidenceBody).focus()

    def action_back(self) -> None:
        """Go back."""
        self.dismiss(None)

    def action_evidence(self, tab: int) -> None:
        """Show another tab; they are counted from 1."""
        if not self.query_one(EvidencePane).show_tab(tab - 1):
            self.explain(SHOWN_ALREADY)

    def action_next_tab(self, by: int) -> None:
        """Show the next tab, going round."""
        pane = self.query_one(EvidencePane)
        pane.tab = (pane.tab + by) % len(TABS)

    def action_scroll(self, by: int) -> None:
        """Scroll by lines."""
        self.query_one(EvidenceBody).move_view(by)

    def action_page(self, by: int) -> None:
        """Scroll by pages."""
        self.query_one(EvidenceBody).page_view(by)

    def action_edge(self, at: int) -> None:
        """Go to the first line, or with 1 to the last."""
        body = self.query_one(EvidenceBody)
        body.move_view(body.max_scroll_y if at else -body.max_scroll_y)

    def _head_lines(self, cells: int) -> list[Line]:
        del cells
        proposal = self._proposal
        word = risk_word(proposal.risk)
        title = (f" {shown(proposal.who)}  ", "title"), (short_title(proposal), "")
        return [Line(title, ((f"{word} ", word),))]
