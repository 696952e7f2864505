"""The list of proposals that one answer would decide, in full and in groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.containers import Vertical
from textual.reactive import var

from buildperm.policy.decision import Answer
from buildperm.presentation.batch_list import BatchGroup, batch_groups, glossed_rule
from buildperm.presentation.wording import ANSWER_VERBS, GLYPHS, plural, risk_word
from buildperm.printable import shown
from buildperm.tui.key_bindings import bindings
from buildperm.tui.key_names import key_name, key_names, with_keys
from buildperm.tui.screens.dialog import Dialog
from buildperm.tui.unobeyed_key import TOO_EARLY
from buildperm.tui.widgets.block_sheet import Block, BlockSheet
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.sheet import Sheet
from buildperm.tui.widgets.styled_line import Line, Piece, hanging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from buildperm.policy.proposal import Proposal
    from buildperm.tui.type_ahead import TypeAheadGuard

_INDENT = "      "
_WAYS_ON = "{batch.confirm} confirms, {batch.back} goes back."


class BatchScreen(Dialog[Answer | None]):
    """Lists the proposals concerned and those left out; dismisses with the answer, or None.

    Where there are several answers, one has to be chosen first. Then one key confirms it.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("batch")

    chosen: var[int | None] = var(None)
    """Index of the answer that `y` would give; None before one is chosen."""

    def __init__(
        self,
        guard: TypeAheadGuard,
        offers: Mapping[str, Answer],
        proposals: Sequence[Proposal],
        rule_of: Callable[[Proposal], str],
        left_out: Sequence[str],
    ) -> None:
        super().__init__()
        self._guard = guard
        self._offers = offers  # By the key that chooses the answer, where there is a choice.
        self._proposals = proposals
        self._rule_of = rule_of  # What would be stored, as Cargo.toml has it.
        self._left_out = left_out  # One sentence each.
        self._answers = tuple(offers.values())
        self.set_reactive(BatchScreen.chosen, None if len(offers) > 1 else 0)
        self._notice = ""  # Why the last key was not obeyed.

    def compose(self) -> ComposeResult:
        """Lay out the list above the answers."""
        with Vertical(classes="dialog", id="batch"):
            yield BlockSheet(id="batch-rows")
            yield Page(id="batch-answers")

    def on_mount(self) -> None:
        """List."""
        rows = self.query_one("#batch-rows", BlockSheet)
        rows.show(self._blocks(), at_least=2 * len(self._proposals))
        rows.focus()
        self.query_one("#batch-answers", Page).can_focus = False
        self._show_answers()

    def on_resize(self) -> None:
        """Leave room for the answers below however many rows there are."""
        self._show_answers()

    def on_screen_resume(self) -> None:
        """Swallow keys that were pressed for another screen."""
        self._guard.hold()

    def why_not(self, event: events.Key) -> str:
        """Say why a key is not obeyed, and which one confirms."""
        reason = super().why_not(event)
        return f"{reason} {with_keys(self.app, _WAYS_ON)}" if reason else ""

    def explain(self, reason: str) -> None:
        """Show why the latest key did nothing below the answers."""
        if reason != self._notice:
            self._notice = reason
            self._show_answers()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide the keys that do nothing here."""
        return action != "choose" or (len(self._offers) > 1 and parameters[0] in self._offers)

    def action_choose(self, key: str) -> None:
        """Choose the answer that is to be confirmed."""
        chosen = list(self._offers).index(key)
        if chosen == self.chosen:
            self.explain(with_keys(self.app, f"It is chosen already. {_WAYS_ON}"))
            return
        self.chosen, self._notice = chosen, ""
        self._show_answers()

    def action_confirm(self) -> None:
        """Give the answer, unless the key came too early to be one."""
        if self._guard.swallows():
            self.explain(TOO_EARLY)
        elif self.chosen is None:
            keys = " or ".join(map(self._key, self._offers))
            self.explain(f"Choose first: {keys}.")
        else:
            self.dismiss(self._answers[self.chosen])

    def action_back(self) -> None:
        """Decide nothing."""
        self.dismiss(None)

    def action_scroll(self, by: int) -> None:
        """Scroll by lines."""
        self.query_one("#batch-rows", BlockSheet).move_view(by)

    @on(Sheet.Clicked)
    def _take_click(self, clicked: Sheet.Clicked) -> None:
        """Do what the line says: choose, confirm or go back."""
        count = len(self._answers)
        if clicked.target < count:
            self.action_choose(list(self._offers)[clicked.target])
        elif clicked.target == count:
            self.action_confirm()
        else:
            self.action_back()

    def _key(self, offer: str) -> str:
        """Return how the key is printed that chooses an answer."""
        return key_name(self.app, f"batch.{self._offers[offer].value}")

    def _heading(self) -> str:
        verb = " or ".join(ANSWER_VERBS[answer] for answer in self._answers)
        return f"{verb.capitalize()} {plural(len(self._proposals), 'proposal')}"

    def _blocks(self) -> Iterator[Block]:
        crate: tuple[str, str] | None = None
        for group in self._groups():
            if crate != (group.crate, group.version):
                if crate is not None:
                    yield Block()
                crate = group.crate, group.version
                yield Block(((f"{group.crate} ", "strong"),), group.version, "muted")
            if group.cause:
                yield Block((("  ", ""),), group.cause, "heading")
            for row in group.rows:
                word = risk_word(row.proposal.risk)
                lead: Piece = (f"  {GLYPHS[row.proposal.risk]:>2}", word)
                yield Block((lead, ("  ", "")), row.title)
                if row.rule != row.title:
                    yield Block(((_INDENT, ""),), row.rule, "muted")

    def _groups(self) -> Iterator[BatchGroup]:
        """Put the proposals together; a crate is looked at when it comes into view."""
        crates: dict[tuple[str, str], list[Proposal]] = {}
        for each in self._proposals:
            crates.setdefault((each.crate, each.version), []).append(each)
        for listed in crates.values():
            yield from batch_groups([(each, self._rule_of(each)) for each in listed])

    def _show_answers(self) -> None:
        """Show the answers, and the rows in what room they leave."""
        rows = self.query_one("#batch-rows", BlockSheet)
        answers = self.query_one("#batch-answers", Page)
        answers.show(self._answer_lines)
        answers.styles.height = answers.line_count + 1  # The border.
        room = self.size.height * 9 // 10 - answers.line_count - 1
        height = max(min(rows.line_count + 1, room), 3)
        rows.styles.height = height
        scroll = with_keys(self.app, "{batch.down} and {batch.up} scroll")
        more = "" if rows.line_count + 1 <= height else f"  (goes on below: {scroll})"
        rows.border_title = f"{self._heading()}{more}"

    def _answer_lines(self, cells: int) -> Iterator[Line]:
        yield Line()
        for sentence in self._left_out:
            yield from hanging((), sentence, "waiting", cells)
        if self._left_out:
            yield Line()
        if len(self._answers) > 1:
            for number, (key, answer) in enumerate(self._offers.items()):
                mark: Piece = ("● ", "accent") if number == self.chosen else ("○ ", "muted")
                label = (ANSWER_VERBS[answer], "strong" if number == self.chosen else "")
                yield Line((("  ", ""), mark, (f"{self._key(key)}  ", "accent"), label), (), number)
        total = len(self._answers)
        if self.chosen is None:
            label = ("confirms what is chosen", "muted")
        else:
            verb = ANSWER_VERBS[self._answers[self.chosen]]
            listed = f"all {len(self._proposals):,} listed" if len(self._proposals) > 1 else "it"
            label = (f"{verb} {listed}", "strong")
        confirm, back = (key_names(self.app, f"batch.{name}") for name in ("confirm", "back"))
        width = max(len(confirm), len(back))
        yield Line(((f"{confirm:>{width}}  ", "accent"), label), (), total)
        told = ("go back, decide nothing", "")
        yield Line(((f"{back:>{width}}  ", "accent"), told), (), total + 1)
        if self._notice:
            yield from hanging((), self._notice, "waiting", cells)


class EverywhereScreen(BatchScreen):
    """Lists the crates that ask for the same access."""

    def _heading(self) -> str:
        return f"The same in {plural(len(self._proposals), 'crate')}"

    def _blocks(self) -> Iterator[Block]:
        proposal = self._proposals[0]
        rule = self._rule_of(proposal)
        word = risk_word(proposal.risk)
        yield Block(((f"{GLYPHS[proposal.risk]} {word}  ", word),), shown(proposal.title), "strong")
        yield Block(((_INDENT, ""),), glossed_rule(proposal, rule), "muted")
        yield Block()
        for each in self._proposals:
            here = ", this one" if each is proposal else ""
            yield Block(((f"  {shown(each.crate)} ", "strong"),), f"{shown(each.version)}{here}")
