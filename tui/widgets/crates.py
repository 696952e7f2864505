"""The tree: crates, what in them is the cause, and the proposals, one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.message import Message

from buildperm.policy import portability
from buildperm.policy.decision import Answer
from buildperm.policy.proposal import Reason
from buildperm.policy.role import SubjectKind
from buildperm.presentation import comparison_facts
from buildperm.presentation.outline import Outline, Place
from buildperm.presentation.wording import (
    ANSWER_GLYPHS,
    GLYPHS,
    REASON_GLYPHS,
    REASON_WORDS,
    SUBJECT_WORDS,
    TIMES,
    plural,
    risk_word,
    short_title,
    version_text,
)
from buildperm.printable import shown
from buildperm.tui.key_bindings import bindings
from buildperm.tui.widgets.comparison_lines import NEW_MARK
from buildperm.tui.widgets.sheet import Sheet, edge_text
from buildperm.tui.widgets.styled_line import ANSWER_TONES, Line, Piece, answer_tone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.binding import BindingType

    from buildperm.policy.proposal import Proposal, Risk
    from buildperm.presentation.agenda import Agenda, ProposalGroup
    from buildperm.presentation.proposal_cause import ProposalCause

_CRATE_FOLD_CELLS: Final = 3
_CAUSE_FOLD_CELLS: Final = 5


@dataclass(frozen=True, slots=True)
class _Summary:
    due: int  # How many have to be decided.
    optional: int  # How many may be.
    allowed: int
    denied: int
    later: int
    worst: Risk  # Of those that have to be decided, of all where none has.


class CrateTree(Sheet, can_focus=True):
    """Lists crates; what lies below one is drawn when it comes into view."""

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
        self._outline = Outline()
        self._summaries: dict[Place, _Summary] = {}
        self._cursor = 0
        self.marks: set[str] = set()
        """Ids of the marked proposals."""

    @property
    def place(self) -> Place | None:
        """What the cursor's line stands for; None where nothing is listed."""
        places = self._outline.places
        return places[self._cursor] if places else None

    @property
    def group(self) -> ProposalGroup | None:
        """The crate that the cursor is on or in."""
        place = self.place
        return self._outline.groups[place.group] if place is not None else None

    @property
    def cause(self) -> ProposalCause | None:
        """The cause that the cursor is on or below; None on a crate."""
        place = self.place
        return self._outline.cause(place) if place is not None else None

    @property
    def proposal(self) -> Proposal | None:
        """The proposal that the cursor is on."""
        place = self.place
        return self._outline.proposal(place) if place is not None else None

    def fill(self, groups: Sequence[ProposalGroup], *, opening: bool = False) -> None:
        """Show other groups, the cursor staying on what it is on as far as that is shown.

        With `opening` all of them are open until groups are shown without it again.
        """
        group, proposal = self.group, self.proposal
        self._outline.fill(groups, opening=opening)
        self._summaries.clear()
        self.relay()
        self._cursor = min(self._cursor, max(len(self._outline.places) - 1, 0))
        if proposal is not None and self.reveal(proposal):
            return
        if group is not None:
            self._cursor = self._outline.row_of_key(group.key)
        self._moved()

    def reveal(self, proposal: Proposal) -> bool:
        """Move the cursor to `proposal`, opening its crate; False if the filter hides it."""
        lines = len(self._outline.places)
        row = self._outline.find(proposal)
        if row is None:
            return False
        if len(self._outline.places) != lines:
            self.relay()
        self._cursor = row
        self._moved()
        return True

    def redraw_answers(self) -> None:
        """Draw again after answers have changed."""
        self._summaries.clear()
        self.redraw()

    def count(self, cells: int) -> int:
        """Return the number of lines of opened and closed crates."""
        return len(self._outline.places)

    def line(self, number: int, cells: int) -> Line:
        """Return the line of a crate, of a cause or of a proposal."""
        place = self._outline.places[number]
        proposal, cause = self._outline.proposal(place), self._outline.cause(place)
        if proposal is not None:
            return self._proposal_line(place, proposal, number)
        return self._crate_line(place, number) if cause is None else self._cause_line(place, number)

    def tone_of(self, number: int) -> str:
        """Lay the cursor's line on the cursor's colour."""
        return "cursor" if number == self._cursor else ""

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._go_by_key(self._cursor + by, by)

    def action_page(self, by: int) -> None:
        """Move the cursor by a window full of lines."""
        height = self.scrollable_content_region.height
        self._go_by_key(self._cursor + by * max(height - 1, 1), by)

    def action_go(self, row: int) -> None:
        """Move the cursor to the first line, or with -1 to the last."""
        last = len(self._outline.places) - 1
        self._go_by_key(row if row >= 0 else last, -1 if row >= 0 else 1)

    def action_open(self) -> None:
        """Open what is under the cursor; if it is open, go to its first line."""
        place = self.place
        if place is None:
            self.post_message(self.Unmoved(edge_text(0, 1)))
        elif self.proposal is not None:
            self.post_message(self.Unmoved("Nothing lies below this line."))
        elif self._outline.is_open(place):
            self.action_move(1)
        else:
            self.toggle()

    def action_close(self) -> None:
        """Close what is under the cursor, or else go to the line that it lies below."""
        place = self.place
        if place is None:
            self.post_message(self.Unmoved(edge_text(0, -1)))
        elif self.proposal is None and self._outline.is_open(place):
            self.toggle()
        elif (row := self._outline.parent_row(self._cursor)) != self._cursor:
            self._go_to(row)
        else:
            self.post_message(self.Unmoved("It is closed already."))

    def action_open_all(self) -> None:
        """Open every crate."""
        self._relaid(self._outline.open_all, "Every crate is open.")

    def action_close_all(self) -> None:
        """Close every crate."""
        self._relaid(self._outline.close_all, "Every crate is closed.")

    def action_mark(self) -> None:
        """Mark or unmark the proposal under the cursor and move on, or all below the cursor."""
        listed = self.cause or self.group
        if self.proposal is not None:
            self.marks ^= {self.proposal.id}
            self._go_to(self._cursor + 1)
        elif listed is not None:
            ids = {each.id for each in listed.proposals}
            self.marks = self.marks - ids if ids <= self.marks else self.marks | ids
        else:
            self.post_message(self.Unmoved(edge_text(0, 1)))
        if listed is not None and not (self.display and (self.proposal or self.is_open)):
            told = (
                f"{plural(len(self.marks), 'proposal')} marked." if self.marks else "None marked."
            )
            self.post_message(self.Unmoved(told))
        self.redraw()

    def toggle(self) -> None:
        """Open or close the crate or the cause under the cursor."""
        place = self.place
        if place is not None and self.proposal is None:
            self._relaid(lambda: self._outline.toggle(place))

    @on(Sheet.Clicked)
    async def _go_to_clicked(self, clicked: Sheet.Clicked) -> None:
        """Go to the line; a click on its fold opens or closes it.

        A click on the line of the cursor does what Enter does.
        """
        clicked.stop()
        if clicked.column < self._fold_cells(clicked.target):
            self._go_to(clicked.target)
            self.toggle()
        elif clicked.target == self._cursor:
            await self.run_action("screen.open")
        else:
            self._go_to(clicked.target)

    def _fold_cells(self, row: int) -> int:
        """Return where the sign ends by which a line opens; 0 where it has none."""
        place = self._outline.places[row]
        if self._outline.proposal(place) is not None:
            return 0
        return _CRATE_FOLD_CELLS if self._outline.cause(place) is None else _CAUSE_FOLD_CELLS

    @property
    def is_open(self) -> bool:
        """Whether the cursor is on a crate or a cause that is open."""
        place = self.place
        return place is not None and self.proposal is None and self._outline.is_open(place)

    def _relaid(self, change: Callable[[], None], unchanged: str = "") -> None:
        """Open or close something, the cursor staying where it is or on what that lies in.

        Where nothing is opened or closed, `unchanged` says so.
        """
        place, before = self.place, len(self._outline.places)
        change()
        if unchanged and len(self._outline.places) == before:
            self.post_message(self.Unmoved(unchanged if before else edge_text(0, 1)))
            return
        self.relay()
        if place is not None:
            self._cursor = self._outline.row_of(place)
            self._moved()

    def _go_by_key(self, row: int, by: int) -> None:
        before = self._cursor
        self._go_to(row)
        if self._cursor == before:
            self.post_message(self.Unmoved(edge_text(len(self._outline.places), by)))

    def _go_to(self, row: int) -> None:
        row = max(0, min(row, len(self._outline.places) - 1))
        if row != self._cursor:
            self._cursor = row
            self._moved()

    def _moved(self) -> None:
        height = self.scrollable_content_region.height
        top = self.scroll_offset.y
        if height and not top <= self._cursor < top + height:
            wanted = self._cursor if self._cursor < top else self._cursor - height + 1
            self.scroll_to(y=wanted, animate=False, force=True, immediate=True)
        self.redraw()
        self.post_message(self.Moved(self))

    def _summary(self, place: Place) -> _Summary:
        """Summarize a crate or a cause."""
        if place not in self._summaries:
            cause = self._outline.cause(place)
            listed = cause.proposals if cause else self._outline.groups[place.group].proposals
            self._summaries[place] = _summarized(self._agenda, listed)
        return self._summaries[place]

    def _crate_line(self, place: Place, row: int) -> Line:
        group = self._outline.groups[place.group]
        fold = "▾" if self._outline.is_open(place) else "▸"
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
        return Line(left, _state(self._summary(place)), row)

    def _cause_line(self, place: Place, row: int) -> Line:
        cause = self._outline.cause(place)
        assert cause is not None
        fold = "▾" if self._outline.is_open(place) else "▸"
        name: Piece = (shown(cause.name), "heading" if cause.program else "")
        told: Piece = (", a program" if cause.program else "", "muted")
        return Line(((f"   {fold} ", "muted"), name, told), _state(self._summary(place)), row)

    def _proposal_line(self, place: Place, proposal: Proposal, row: int) -> Line:
        answer, word = self._agenda.answer(proposal), risk_word(proposal.risk)
        waiting = answer is Answer.UNDECIDED
        asked = proposal.reason is Reason.ASKED
        glyph, tone = ANSWER_GLYPHS[answer], answer_tone(answer, proposal.risk)
        if waiting and not asked:
            glyph, tone = REASON_GLYPHS[proposal.reason], "accent"
        elif waiting and proposal.locked:
            glyph = "⊘"
        times = sum(access.count for access in proposal.evidence)
        deeper = "  " if self._outline.is_below_cause(place) else ""
        left: tuple[Piece, ...] = (
            ("◆" if proposal.id in self.marks else " ", "accent"),
            (f"{deeper}  {glyph} ", tone),
            (f"{GLYPHS[proposal.risk]:>2}", word if waiting and asked else "muted"),
            (" ", ""),
            (short_title(proposal), "" if waiting and asked else "muted"),
        )
        right = f"{times:,}{TIMES} " if asked else f"{REASON_WORDS[proposal.reason]} "
        is_local = bool(self._agenda.denied_here(proposal))
        here: tuple[Piece, ...] = ((f"{portability.MARK}  ", "waiting"),) if is_local else ()
        return Line(left, (*here, (right, "muted")), row)


def _summarized(agenda: Agenda, proposals: Sequence[Proposal]) -> _Summary:
    due = [each.risk for each in proposals if agenda.is_due(each)]
    return _Summary(
        len(due),
        sum(map(agenda.is_optional, proposals)),
        sum(agenda.answer(each) is Answer.ALLOW for each in proposals),
        sum(agenda.answer(each) is Answer.DENY for each in proposals),
        sum(agenda.answer(each) is Answer.LATER for each in proposals),
        max(due or [each.risk for each in proposals]),
    )


def _state(summary: _Summary) -> tuple[Piece, ...]:
    """Say what is left to decide about a crate or a cause, or else what was decided."""
    if summary.due:
        word = risk_word(summary.worst)
        return (f"{GLYPHS[summary.worst]} {word}", word), (f" {summary.due:>3} ", "muted")
    if summary.optional:
        return ((f"to look at {summary.optional:>3} ", "muted"),)
    if summary.denied:
        glyph = ANSWER_GLYPHS[Answer.DENY]
        word = "partly denied" if summary.allowed else "denied"
        return ((f"{word} {glyph}", ANSWER_TONES[Answer.DENY]), (f" {summary.denied:>3} ", "muted"))
    if summary.later:
        glyph = ANSWER_GLYPHS[Answer.LATER]
        return (
            (f"later {glyph}", ANSWER_TONES[Answer.LATER]),
            (f" {summary.later:>3} ", "muted"),
        )
    return (("done  ✓ ", "good"),)
