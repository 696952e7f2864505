"""The tree: crates with the proposals they make, one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.message import Message

from buildperm.policy.decision import Answer
from buildperm.policy.proposal import Reason
from buildperm.policy.role import SubjectKind
from buildperm.presentation import comparison_facts
from buildperm.presentation.wording import (
    ANSWER_GLYPHS,
    GLYPHS,
    REASON_GLYPHS,
    REASON_WORDS,
    SUBJECT_WORDS,
    TIMES,
    risk_word,
    short_title,
    version_text,
)
from buildperm.printable import shown
from buildperm.tui.key_bindings import bindings
from buildperm.tui.widgets.comparison_lines import NEW_MARK
from buildperm.tui.widgets.sheet import Sheet
from buildperm.tui.widgets.styled_line import ANSWER_TONES, Line, Piece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType

    from buildperm.policy.proposal import Proposal, Risk
    from buildperm.presentation.agenda import Agenda, ProposalGroup


@dataclass(frozen=True, slots=True)
class _Summary:
    due: int  # How many have to be decided.
    optional: int  # How many may be.
    worst: Risk  # Of those that have to be decided, of all where none has.


class CrateTree(Sheet, can_focus=True):
    """Lists crates; a crate's lines are made when it is opened."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("tree")

    @dataclass
    class Moved(Message):
        """The cursor stands on another line."""

        tree: CrateTree

        @property
        def control(self) -> CrateTree:
            """The tree, so that handlers can select it."""
            return self.tree

    def __init__(self, agenda: Agenda, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._agenda = agenda
        self._groups: Sequence[ProposalGroup] = ()
        self._opened: set[tuple[str, str]] = set()
        self._opened_before: set[tuple[str, str]] | None = None  # While all are open.
        self._rows: list[tuple[int, int]] = []  # Group and proposal; -1 for the crate itself.
        self._summaries: dict[int, _Summary] = {}
        self._cursor = 0
        self.marks: set[str] = set()
        """Ids of the marked proposals."""

    @property
    def group(self) -> ProposalGroup | None:
        """The crate that the cursor is on or in."""
        return self._groups[self._rows[self._cursor][0]] if self._rows else None

    @property
    def proposal(self) -> Proposal | None:
        """The proposal that the cursor is on."""
        if not self._rows:
            return None
        group, number = self._rows[self._cursor]
        return self._groups[group].proposals[number] if number >= 0 else None

    def fill(self, groups: Sequence[ProposalGroup], *, opening: bool = False) -> None:
        """Show other groups, the cursor staying on what it is on as far as that is shown.

        With `opening` all of them are open until groups are shown without it again.
        """
        group, proposal = self.group, self.proposal
        if not self._groups and not self._opened and groups:
            self._opened.add(groups[0].key)
        if opening:
            self._opened_before = self._opened_before or set(self._opened)
            self._opened = {each.key for each in groups}
        elif self._opened_before is not None:
            self._opened, self._opened_before = self._opened_before, None
        self._groups = groups
        self._summaries.clear()
        self._lay_rows()
        self._cursor = min(self._cursor, max(len(self._rows) - 1, 0))
        if proposal is not None and self.reveal(proposal):
            return
        if group is not None:
            self._cursor = self._row_of(group)
        self._moved()

    def reveal(self, proposal: Proposal) -> bool:
        """Move the cursor to `proposal`, opening its crate; False if the filter hides it."""
        for number, group in enumerate(self._groups):
            if group.key != (proposal.crate, proposal.version):
                continue
            for index, candidate in enumerate(group.proposals):
                if candidate.id == proposal.id:
                    if group.key not in self._opened:
                        self._opened.add(group.key)
                        self._lay_rows()
                    self._cursor = self._rows.index((number, index))
                    self._moved()
                    return True
        return False

    def redraw_answers(self) -> None:
        """Draw again after answers have changed."""
        self._summaries.clear()
        self.refresh()

    def count(self, cells: int) -> int:
        """Return the number of lines of opened and closed crates."""
        return len(self._rows)

    def line(self, number: int, cells: int) -> Line:
        """Return the line of a crate or of one of its proposals."""
        group, index = self._rows[number]
        if index < 0:
            return self._crate_line(group, number)
        return self._proposal_line(self._groups[group].proposals[index], number)

    def tone_of(self, number: int) -> str:
        """Lay the cursor's line on the cursor's colour."""
        return "cursor" if number == self._cursor else ""

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._go_to(self._cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by a window full of lines."""
        self._go_to(self._cursor + by * max(self.scrollable_content_region.height - 1, 1))

    def action_go(self, row: int) -> None:
        """Move the cursor to the first line, or with -1 to the last."""
        self._go_to(row if row >= 0 else len(self._rows) - 1)

    def action_open(self) -> None:
        """Open the crate under the cursor; if it is open, go to its first line."""
        if self.group is not None and self.proposal is None:
            if self.group.key in self._opened:
                self.action_move(1)
            else:
                self.toggle()

    def action_close(self) -> None:
        """Close the crate that the cursor is on or in."""
        if self.group is not None and (self.proposal or self.group.key in self._opened):
            if self.proposal is not None:
                self._go_to(self._row_of(self.group))
            else:
                self.toggle()

    def action_open_all(self) -> None:
        """Open every crate."""
        self._reopen({group.key for group in self._groups})

    def action_close_all(self) -> None:
        """Close every crate."""
        self._reopen(set())

    def action_mark(self) -> None:
        """Mark or unmark the proposal under the cursor, and move on."""
        if self.proposal is not None:
            self.marks ^= {self.proposal.id}
            self.action_move(1)
            self.refresh()

    def toggle(self) -> None:
        """Open or close the crate under the cursor."""
        if self.group is not None and self.proposal is None:
            self._reopen(self._opened ^ {self.group.key})

    @on(Sheet.Clicked)
    async def _go_to_clicked(self, clicked: Sheet.Clicked) -> None:
        """Go to the line; a click on the line of the cursor does what Enter does."""
        clicked.stop()
        if clicked.target == self._cursor:
            await self.run_action("screen.open")
        else:
            self._go_to(clicked.target)

    def _reopen(self, opened: set[tuple[str, str]]) -> None:
        group, proposal = self.group, self.proposal
        self._opened = opened
        self._lay_rows()
        if group is not None and (proposal is None or group.key not in opened):
            self._cursor = self._row_of(group)
            self._moved()
        elif proposal is not None:
            self.reveal(proposal)

    def _go_to(self, row: int) -> None:
        row = max(0, min(row, len(self._rows) - 1))
        if row != self._cursor:
            self._cursor = row
            self._moved()

    def _moved(self) -> None:
        height = self.scrollable_content_region.height
        top = self.scroll_offset.y
        if height and not top <= self._cursor < top + height:
            wanted = self._cursor if self._cursor < top else self._cursor - height + 1
            self.scroll_to(y=wanted, animate=False, force=True, immediate=True)
        self.refresh()
        self.post_message(self.Moved(self))

    def _row_of(self, wanted: ProposalGroup) -> int:
        """Return the row of a crate, 0 where it is not shown."""
        for row, (group, index) in enumerate(self._rows):
            if index < 0 and self._groups[group].key == wanted.key:
                return row
        return 0

    def _lay_rows(self) -> None:
        rows: list[tuple[int, int]] = []
        for number, group in enumerate(self._groups):
            rows.append((number, -1))
            if group.key in self._opened:
                rows.extend((number, index) for index in range(len(group.proposals)))
        self._rows = rows
        self.relay()

    def _summary(self, number: int) -> _Summary:
        if number not in self._summaries:
            proposals = self._groups[number].proposals
            due = [each.risk for each in proposals if self._agenda.is_due(each)]
            optional = sum(map(self._agenda.is_optional, proposals))
            worst = max(due or [each.risk for each in proposals])
            self._summaries[number] = _Summary(len(due), optional, worst)
        return self._summaries[number]

    def _crate_line(self, number: int, row: int) -> Line:
        group, summary = self._groups[number], self._summary(number)
        fold = "▾" if group.key in self._opened else "▸"
        comparison = self._agenda.comparison(group)
        version = (
            comparison_facts.versions(comparison) if comparison else version_text(group.version)
        )
        left: tuple[Piece, ...] = (
            (f" {fold} ", "muted"), (shown(group.crate), "strong"), (f" {version}", "muted"),
        )  # fmt: skip
        subjects = {role.subject for each in group.proposals for role in each.roles}
        words = [SUBJECT_WORDS[each] for each in SubjectKind if each in subjects]
        if any(words):
            left = (*left, (f"  {' '.join(filter(None, words))}", "accent"))
        if self._agenda.is_new(group):
            left = (*left, (f"  {NEW_MARK}", "waiting"))
        return Line(left, self._state(summary), row)

    @staticmethod
    def _state(summary: _Summary) -> tuple[Piece, ...]:
        """Summarize what is left to decide about a crate."""
        if summary.due:
            word = risk_word(summary.worst)
            return (f"{GLYPHS[summary.worst]} {word}", word), (f" {summary.due:>3} ", "muted")
        if summary.optional:
            return ((f"to look at {summary.optional:>3} ", "muted"),)
        return (("done  ✓ ", "good"),)

    def _proposal_line(self, proposal: Proposal, row: int) -> Line:
        answer, word = self._agenda.answer(proposal), risk_word(proposal.risk)
        waiting = answer is Answer.UNDECIDED
        asked = proposal.reason is Reason.ASKED
        glyph, tone = ANSWER_GLYPHS[answer], ANSWER_TONES[answer]
        if waiting and not asked:
            glyph, tone = REASON_GLYPHS[proposal.reason], "accent"
        elif waiting and proposal.locked:
            glyph = "⊘"
        times = sum(access.count for access in proposal.evidence)
        left: tuple[Piece, ...] = (
            ("◆" if proposal.id in self.marks else " ", "accent"),
            (f"  {glyph} ", tone),
            (f"{GLYPHS[proposal.risk]:>2}", word if waiting and asked else "muted"),
            (" ", ""),
            (short_title(proposal), "" if waiting and asked else "muted"),
        )
        right = f"{times}{TIMES} " if asked else f"{REASON_WORDS[proposal.reason]} "
        return Line(left, ((right, "muted"),), row)
