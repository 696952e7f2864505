"""The evidence beside a decision: tabs with all that is known about a proposal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on, work
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import var
from textual.worker import get_current_worker

from buildperm.errors import BuildpermError
from buildperm.policy.decision import Answer
from buildperm.policy.proposal import Risk
from buildperm.presentation.proposal_evidence import proposal_evidence
from buildperm.presentation.wording import risk_word
from buildperm.printable import shown
from buildperm.tui.widgets.evidence_lines import (
    MANIFEST,
    TABS,
    ManifestEdit,
    Rows,
    WrittenRows,
    rows_of,
)
from buildperm.tui.widgets.sheet import Sheet
from buildperm.tui.widgets.styled_line import Line, Piece

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.timer import Timer

    from buildperm.policy.proposal import Proposal
    from buildperm.policy.surplus import Surplus
    from buildperm.presentation.agenda import Agenda
    from buildperm.presentation.front_end import EvidenceSource
    from buildperm.presentation.proposal_evidence import ProposalEvidence

SHOWN_ALREADY = "This tab is shown already."
"""What is said of the key of a tab that changes nothing."""

_DELAY_S = 0.12
"""A cursor that only passes by asks for nothing."""


class EvidenceBody(Sheet):
    """Scrolls the lines of one tab."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._rows: Rows = WrittenRows(lambda cells: ())

    def show(self, rows: Rows) -> None:
        """Show other lines, from the first on."""
        self._rows = rows
        self.scroll_to(y=0, animate=False, force=True, immediate=True)
        self.relay()

    def count(self, cells: int) -> int:
        """Return how many lines there are when each is `cells` wide."""
        return self._rows.count(cells)

    def line(self, number: int, cells: int) -> Line:
        """Return line `number`, counted from 0."""
        return self._rows.line(number, cells)


class EvidenceTabs(Sheet):
    """The names of the tabs, each behind its key; a click chooses one."""

    tab: var[int] = var(0)

    def count(self, cells: int) -> int:
        """Return how many lines there are."""
        del cells
        return 1

    def line(self, number: int, cells: int) -> Line:
        """Return the line."""
        del number
        pieces: list[Piece] = []
        for index, name in enumerate(_names(self.tab, cells)):
            pieces += [(name, "title" if index == self.tab else "muted"), ("  ", "")]
        return Line(tuple(pieces))

    def watch_tab(self) -> None:
        """Draw anew."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Choose the tab that was clicked."""
        offset = event.get_content_offset(self)
        at = 0
        for index, name in enumerate(_names(self.tab, self.scrollable_content_region.width)):
            if offset is not None and at <= offset.x < at + len(name):
                self.post_message(self.Clicked(self, index))
            at += len(name) + 2


class EvidencePane(Vertical):
    """Shows what lies behind one proposal; asks for it on another thread."""

    tab: var[int] = var(0)
    """Index of the tab that is shown, into `TABS`."""

    @dataclass
    class Gathered(Message, bubble=False):
        """Everything has been read."""

        proposal: Proposal
        evidence: ProposalEvidence

    @dataclass
    class Counted(Message):
        """It is known how many files each rule of a proposal adds to what was seen."""

        proposal: Proposal
        surplus: tuple[Surplus | None, ...]

    def __init__(
        self,
        source: EvidenceSource,
        agenda: Agenda,
        *,
        id: str | None = None,  # noqa: A002
    ) -> None:
        """Show nothing yet.

        Args:
            source: Knows the evidence.
            agenda: Knows which rule is chosen.
            id: Of the widget.
        """
        super().__init__(id=id)
        self._source = source
        self._agenda = agenda
        self._proposal: Proposal | None = None
        self._evidence: ProposalEvidence | None = None
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Lay out the tabs above their content."""
        yield EvidenceTabs(id="evidence-tabs")
        yield EvidenceBody(id="evidence-body")

    def on_mount(self) -> None:
        """Show the tabs."""
        self.query_one(EvidenceTabs).can_focus = False
        self._draw()

    def show(self, proposal: Proposal | None) -> None:
        """Show what lies behind a proposal, or behind the rule that is chosen now."""
        if proposal is not None and self._proposal is not None and proposal.id == self._proposal.id:
            self._proposal = proposal
            if self.tab == MANIFEST:
                self._draw()
            return
        self._proposal, self._evidence = proposal, None
        if self._timer is not None:
            self._timer.stop()
        self._timer = None
        if proposal is not None:
            self._timer = self.set_timer(_DELAY_S, self._gather)
        self._draw()

    def show_tab(self, tab: int) -> bool:
        """Show a tab; tell whether it is another one."""
        is_other, self.tab = self.tab != tab, tab
        return is_other

    def watch_tab(self) -> None:
        """Show another tab."""
        self._draw()

    @on(Sheet.Clicked, "#evidence-tabs")
    def _choose_clicked(self, clicked: Sheet.Clicked) -> None:
        self.tab = clicked.target

    @work(thread=True, exclusive=True, group="evidence")
    def _gather(self) -> None:
        proposal = self._proposal
        if proposal is None:
            return
        try:
            evidence = self._source.of(proposal)
        except BuildpermError as error:
            trouble = str(error).replace("\n", " ")
            evidence = proposal_evidence(proposal, (), missing=trouble)
        if not get_current_worker().is_cancelled:
            self.post_message(self.Gathered(proposal, evidence))

    @on(Gathered)
    def _take(self, gathered: Gathered) -> None:
        if self._proposal is not None and gathered.proposal.id == self._proposal.id:
            self._evidence = gathered.evidence
            self._draw()
            self.post_message(self.Counted(gathered.proposal, gathered.evidence.surplus))

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        self.query_one(EvidenceTabs).tab = self.tab
        body = self.query_one(EvidenceBody)
        if self._proposal is None:
            text = "Nothing is selected: go to a line to see what lies behind it."
            body.show(WrittenRows(lambda cells: [Line(((text, "muted"),))]))
        elif self._evidence is None:
            body.show(WrittenRows(lambda cells: [Line((("Reading the recording …", "muted"),))]))
        else:
            edit = self._edit(self._proposal, self._evidence)
            body.show(rows_of(self.tab, self._evidence, edit))

    def _edit(self, proposal: Proposal, evidence: ProposalEvidence) -> ManifestEdit:
        """Return what Cargo.toml would say, for the answer that is given or can be."""
        if self.tab != MANIFEST:
            return ManifestEdit()
        denied = bool(proposal.locked) or self._agenda.answer(proposal) is Answer.DENY
        chosen = self._agenda.chosen(proposal)
        try:
            lines = self._source.edit(proposal, chosen, Answer.DENY if denied else Answer.ALLOW)
        except BuildpermError as error:
            lines = (shown(str(error).replace("\n", " ")),)
            return ManifestEdit(lines, "Cargo.toml cannot say it")
        if denied:
            return ManifestEdit(lines, "If you deny it", "strong")
        counted = evidence.surplus
        return ManifestEdit(
            lines,
            "If you allow it by the chosen rule",
            "high" if proposal.risk >= Risk.HIGH else risk_word(proposal.risk),
            counted[chosen] if chosen < len(counted) else None,
        )


def _names(tab: int, cells: int) -> list[str]:
    """Return the names of the tabs behind their keys; where there is no room, only the keys."""
    names = [f"{number + 1} {name}" for number, name in enumerate(TABS)]
    if sum(map(len, names)) + 2 * (len(names) - 1) > cells:
        names = [str(number + 1) for number in range(len(TABS))]
        names[tab] = f"{tab + 1} {TABS[tab]}"
    return names
