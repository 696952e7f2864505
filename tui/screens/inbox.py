"""The inbox: everything there is to decide, and the card of what the cursor is on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.containers import Container
from textual.message import Message
from textual.reactive import var
from textual.widgets import Input

from buildperm.policy.surplus import bases
from buildperm.presentation.next_actions import next_actions
from buildperm.presentation.obstacles import obstacles
from buildperm.presentation.wording import plural
from buildperm.printable import shown
from buildperm.tui.key_bindings import bindings
from buildperm.tui.screens.closer_looks import CloserLooks
from buildperm.tui.unobeyed_key import TOO_EARLY
from buildperm.tui.widgets.card import ACTION_TARGETS, CardContext, card_lines
from buildperm.tui.widgets.counts import count_line
from buildperm.tui.widgets.crates import CrateTree
from buildperm.tui.widgets.evidence_pane import EvidencePane
from buildperm.tui.widgets.filter import FilterInput, FilterRow
from buildperm.tui.widgets.hint_footer import HintFooter
from buildperm.tui.widgets.notice import Notice
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from buildperm.policy.proposal import Proposal
    from buildperm.policy.surplus import Surplus
    from buildperm.presentation.agenda import Agenda
    from buildperm.presentation.baseline_accesses import BaselineAccesses
    from buildperm.presentation.front_end import EvidenceSource, Failure, Ran
    from buildperm.tui.key_pace import KeyPace
    from buildperm.tui.type_ahead import TypeAheadGuard


class InboxScreen(CloserLooks):
    """Shows the proposals and takes answers; what they mean is the review's business."""

    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-tiny"), (80, "-narrow"), (100, "-wide"), (180, "-three"),
    ]  # fmt: skip
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall"), (40, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("review"), *bindings("tabs")]

    class DiffWanted(Message):
        """The person wants to see what writing would change."""

        def __init__(self, *, writing: bool) -> None:
            super().__init__()
            self.writing = writing  # And to have it checked at once.

    reading: var[bool] = var(False, toggle_class="-reading")
    """The card takes the place of the list, on terminals with room for only one."""

    filtering: var[bool] = var(False)
    """The line of the filter is shown."""

    blocked: var[frozenset[str]] = var(frozenset[str](), bindings=True)
    """The actions that would do nothing now; a change greys them out."""

    def __init__(
        self,
        agenda: Agenda,
        guard: TypeAheadGuard,
        pause: TypeAheadGuard,
        pace: KeyPace,
        *,
        heading: str,
        summary: str,
        ran: Ran,
        evidence: EvidenceSource,
        baseline: BaselineAccesses,
    ) -> None:
        super().__init__()
        self._evidence = evidence
        self._baseline = baseline
        self._agenda = agenda
        self._guard = guard  # Against keys meant for another screen.
        self._pause = pause  # Against allowing what came up by itself before it can be read.
        self._pace = pace
        self._heading = heading
        self._summary = summary
        self._ran = ran
        self._obstacles: dict[str, str] = {}  # Why actions would do nothing now, by name.
        self._filter_is_due = False
        self._told_at: tuple[object, ...] = ()  # Where the notice came up.
        self._counted: tuple[str, tuple[Surplus | None, ...]] = "", ()  # Of a proposal, by its id.

    def compose(self) -> ComposeResult:
        """Lay out header, filter, tree and card, notice, footer."""
        yield Page(id="counts", classes="bar")
        yield FilterRow(self._agenda, id="filter-row")
        with Container(id="panes"):
            yield CrateTree(self._agenda, id="tree")
            with Container(id="beside"):
                yield Page(id="card")
                yield EvidencePane(self._evidence, self._agenda, id="evidence")
        yield Notice()
        yield HintFooter()

    def on_mount(self) -> None:
        """Begin at the top, or at what is undecided where the review continues an earlier one."""
        self.query_one("#counts", Page).can_focus = False
        self._tree.focus()
        self.refill(going_on=self._agenda.has_answers)

    def watch_filtering(self) -> None:
        """Show or hide the line; a class of the screen would style all that it has."""
        self.query("#filter-row").set_class(self.filtering, "-shown")

    def on_screen_resume(self) -> None:
        """Swallow keys that were pressed for another screen."""
        self._guard.hold()

    def on_resize(self) -> None:
        """Read the evidence where there is room for it by now."""
        self.call_after_refresh(self._show_card, from_top=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Grey out what would do nothing with what the cursor is on."""
        if action == "filter" and isinstance(self.focused, FilterInput):
            return False  # Its key is text there.
        argument = ", ".join(repr(parameter) for parameter in parameters)
        name = f"{action}({argument})" if parameters else action
        return None if name in self.blocked else True

    def explain(self, reason: str) -> None:
        """Show why the latest key did nothing, until the next one or until the cursor moves."""
        self._show_notice(reason)

    def obstacles(self) -> Mapping[str, str]:
        """Return why actions would do nothing where the cursor is."""
        return self._obstacles

    def refill(self, *, going_on: bool = True) -> None:
        """Show what the agenda holds; with `going_on` move the cursor to what is undecided."""
        self._tree.fill(self._agenda.groups, opening=self._agenda.is_filtered)
        self.set_class(not self._agenda.groups, "-empty")
        found = self._agenda.next_undecided(None, 1) if going_on else None
        if found is not None:
            self._tree.reveal(found)
        self._show_card()
        self._show_counts()

    def show_missing(self, failures: Sequence[Failure]) -> None:
        """Show everything there is after a check, and say what failed in it."""
        if self.filtering and not self._agenda.is_filtered:
            self.query_one(FilterRow).clear()
            self.filtering = False
        self.refill()
        if failures:
            first = failures[0]
            more = f" And {plural(len(failures) - 1, 'more crate')}." if failures[1:] else ""
            who = f"{shown(first.crate)} {shown(first.version)}"
            self._show_notice(f"Not written: {who} {shown(first.sentence)}.{more}")

    # What keys do.

    def action_step(self, by: int) -> None:
        """Choose a wider or a narrower rule."""
        if self._tree.proposal is not None:
            self._choose(self._tree.proposal, self._agenda.chosen(self._tree.proposal) + by)

    def action_next(self, by: int) -> None:
        """Go to the next undecided proposal."""
        found = self._agenda.next_undecided(self._tree.proposal, by)
        if found is None:
            self._show_notice("Nothing that is shown is undecided.")
        elif found is self._tree.proposal:
            self._show_notice("Nothing else that is shown is undecided.")
        else:
            self._tree.reveal(found)

    def action_filter(self) -> None:
        """Begin to filter."""
        self.filtering = True
        self.query_one("#filter", Input).focus()

    def action_diff(self) -> None:
        """Show what writing would change."""
        self.post_message(self.DiffWanted(writing=False))

    def action_write(self) -> None:
        """Write, which begins with showing what it would change, and checking it."""
        if not self._came_too_early():
            self.post_message(self.DiffWanted(writing=True))

    def action_open(self) -> None:
        """Open or close a crate, or the card of a proposal."""
        if self._tree.place is None:
            self._show_notice("Nothing is listed.")
        elif self._tree.proposal is None:
            self._tree.toggle()
        elif self.reading:
            told = "{review.card-down} and {review.card-up} scroll, {review.back} goes back."
            self._show_notice(self._told(told))
        elif any(map(self.has_class, ("-tiny", "-narrow", "-short"))):
            self.reading = True
        else:
            self.query_one("#card", Page).focus()
            self._show_notice(
                self._told("Arrows scroll the card, {review.back} goes back to the list.")
            )

    def action_back(self) -> None:
        """Leave the card, or else the filter."""
        if self.reading:
            self.reading = False
        elif self.filtering:
            self.query_one("#filter", Input).clear()
            self.filtering = False
        elif self._tree.has_focus or not self._tree.display:
            self._show_notice(self._told("Nothing to go back from; {review.leave} leaves."))
        self._tree.focus()

    # What happened.

    @on(CrateTree.Moved)
    def _show_what_the_cursor_is_on(self) -> None:
        if self._told_at != self._place():
            self._show_notice("")
        self._show_card()

    @on(EvidencePane.Counted)
    def _take_counts(self, message: EvidencePane.Counted) -> None:
        """Show beside each rule how much it adds; counting took a thread of its own."""
        self._counted = message.proposal.id, message.surplus
        if any(message.surplus):
            self._show_card(from_top=False)

    @on(Sheet.Clicked, "#card")
    async def _obey_click(self, clicked: Sheet.Clicked) -> None:
        """Do what the line names; else choose a rule, or go to a proposal of the crate."""
        proposal, listed = self._tree.proposal, self._tree.cause or self._tree.group
        if clicked.target in ACTION_TARGETS:
            await self.run_action(ACTION_TARGETS[clicked.target])
        elif proposal is not None:
            self._choose(proposal, clicked.target)
        elif listed is not None:
            self._tree.reveal(listed.proposals[clicked.target])

    @on(Input.Changed, "#filter")
    def _take_filter(self) -> None:
        """Filter once the letter is drawn, together with letters that are typed meanwhile."""
        if not self._filter_is_due:
            self._filter_is_due = True
            self.call_after_refresh(self._apply_filter)

    def _apply_filter(self) -> None:
        self._filter_is_due = False
        problem = self._agenda.filter(self.query_one("#filter", Input).value)
        self._show_notice(problem)
        if not problem:
            self.refill(going_on=False)

    @on(Input.Submitted, "#filter")
    def _keep_filter(self) -> None:
        self.filtering = self._agenda.is_filtered
        self._show_notice("")
        self._tree.focus()

    # How it goes on.

    @property
    def _is_list_alone(self) -> bool:
        """Whether the card has no room, so that only the list is shown."""
        has_room_for_one = self.has_class("-tiny") or self.has_class("-short")
        return has_room_for_one and not self.reading

    def _came_too_early(self) -> bool:
        """Tell whether a key was pressed for what the screen showed before, and say so."""
        early = self._guard.swallows()
        if early:
            self._show_notice(TOO_EARLY)
        return early

    def _show_step(self) -> None:
        self._tree.redraw_answers()
        self._show_card(from_top=False)
        self._show_counts()
        if self._agenda.trouble:
            self._show_notice(self._agenda.trouble)

    # How it is shown.

    @property
    def _tree(self) -> CrateTree:
        return self.query_one("#tree", CrateTree)

    def _show_counts(self) -> None:
        counts = self._agenda.counts()
        self.query_one("#counts", Page).show(
            lambda cells: [count_line(counts, self._heading, self._summary, cells)]
        )

    def _show_card(self, *, from_top: bool = True) -> None:
        proposal, group = self._tree.proposal, self._tree.group
        self._obstacles = obstacles(self._agenda, group, proposal)
        self.blocked = frozenset(self._obstacles)
        cause = self._tree.cause
        counted, surplus = self._counted
        if proposal is None or proposal.id != counted:
            surplus = ()
        about = CardContext(self._agenda, self._ran, self._baseline, self._told, surplus)
        writer = partial(card_lines, about, group, cause, proposal)
        self.query_one("#card", Page).show(writer, from_top=from_top)
        labels = {"review.open": "Close"} if self._tree.is_open else {}
        self.query_one(HintFooter).suggest(next_actions(self._agenda, proposal), labels)
        if self._pane.display or self._is_counted(proposal):
            self._pane.show(proposal)

    def _is_counted(self, proposal: Proposal | None) -> bool:
        """Tell whether the card that is shown has rules whose files can be counted."""
        is_shown = not (self.has_class("-tiny") or self.has_class("-short"))
        return is_shown and proposal is not None and any(bases(proposal.choices))

    def _place(self) -> tuple[object, ...]:
        group, cause, proposal = self._tree.group, self._tree.cause, self._tree.proposal
        return (
            group.key if group else None,
            cause.program if cause else None,
            proposal.id if proposal else None,
        )

    def _show_notice(self, notice: str) -> None:
        """Show one sentence until the cursor moves on."""
        self._told_at = self._place()
        self.query_one(Notice).tell(notice)
