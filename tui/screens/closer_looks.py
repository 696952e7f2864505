"""What the inbox opens to look closer: evidence, what changed, what needs no decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.tui.screens.single_answers import SingleAnswers
from buildperm.tui.widgets.evidence_pane import SHOWN_ALREADY, EvidencePane
from buildperm.tui.widgets.page import Page

if TYPE_CHECKING:
    from buildperm.presentation.baseline_accesses import BaselineAccesses
    from buildperm.presentation.front_end import EvidenceSource


class CloserLooks(SingleAnswers):
    """The part of the inbox that decides nothing."""

    _evidence: EvidenceSource
    _obstacles: dict[str, str]  # Why actions would do nothing now, by name.
    _baseline: BaselineAccesses

    @property
    def _pane(self) -> EvidencePane:
        return self.query_one("#evidence", EvidencePane)

    def action_changes(self) -> None:
        """Show what changed in the build script that the cursor is on."""
        comparison = self._agenda.comparison(self._tree.group)
        if comparison is not None:
            from buildperm.tui.screens.script_changes import ChangesScreen  # When it is opened.

            self.app.push_screen(ChangesScreen(comparison))

    def action_baseline(self) -> None:
        """Show what the crate did that every build script may do."""
        from buildperm.tui.screens.baseline_screen import BaselineScreen

        group = self._tree.group
        crate = group.key if group is not None else None
        self.app.push_screen(BaselineScreen(self._baseline, crate))

    def action_evidence_screen(self) -> None:
        """Show what lies behind the proposal that the cursor is on."""
        self._open_evidence(0)

    def action_evidence(self, tab: int) -> None:
        """Show one tab of the evidence, counted from 1: beside the card, or on a screen."""
        proposal = self._tree.proposal
        if self._pane.display:
            if not self._pane.show_tab(tab - 1):
                self._show_notice(SHOWN_ALREADY)
        elif proposal is not None:
            self._open_evidence(tab - 1)
        else:
            self._show_notice(self._obstacles["evidence_screen"])

    def _open_evidence(self, tab: int) -> None:
        from buildperm.tui.screens.evidence_screen import EvidenceScreen

        proposal = self._tree.proposal
        if proposal is not None:
            self.app.push_screen(EvidenceScreen(self._evidence, self._agenda, proposal, tab=tab))

    def action_scroll_card(self, by: int) -> None:
        """Scroll the card by lines, the cursor staying in the list."""
        card = self.query_one("#card", Page)
        if self.query_one("#beside").display:
            card.move_view(by)
        else:
            self._show_notice(self._told("The card is not shown: {review.open} shows it."))
