"""Answers of the inbox that need a screen of their own before they are given."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from buildperm.policy.decision import Answer
from buildperm.presentation import distrust
from buildperm.presentation.rule_check import editable
from buildperm.presentation.terms_check import secrets_note
from buildperm.printable import shown
from buildperm.tui.key_names import with_keys
from buildperm.tui.screens.batch import BatchScreen
from buildperm.tui.screens.telling_screen import TellingScreen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buildperm.policy.decision import Terms
    from buildperm.policy.proposal import Proposal
    from buildperm.policy.rule import Rule
    from buildperm.presentation.agenda import Agenda
    from buildperm.tui.key_pace import KeyPace
    from buildperm.tui.type_ahead import TypeAheadGuard
    from buildperm.tui.widgets.crates import CrateTree


class SpecialAnswers(TellingScreen[None]):
    """The part of the inbox that asks once more; the inbox says where the cursor is."""

    _agenda: Agenda
    _guard: TypeAheadGuard
    _pace: KeyPace

    # What the inbox does.

    @property
    def _tree(self) -> CrateTree:
        raise NotImplementedError

    def _came_too_early(self) -> bool:
        raise NotImplementedError

    def _after_answer(self, proposal: Proposal) -> None:
        raise NotImplementedError

    def _show_notice(self, notice: str) -> None:
        raise NotImplementedError

    def _told(self, text: str) -> str:
        """Put keys into a sentence of ours, in place of ids in braces."""
        return with_keys(self.app, text)

    def _show_step(self) -> None:
        raise NotImplementedError

    @property
    def _is_list_alone(self) -> bool:
        """Whether the card has no room, so that only the list is shown."""
        raise NotImplementedError

    def refill(self, *, going_on: bool = True) -> None:
        """Show what the agenda holds."""
        raise NotImplementedError

    def tell(self, ours: str, rest: str) -> None:
        """Show a sentence until the cursor moves on: with keys in `ours`, and `rest` as it is."""
        self._show_notice(f"{self._told(ours)} {rest}")

    # What is critical.

    def _ask_name(self, proposal: Proposal, index: int, allow: Callable[[], None]) -> None:
        """Have the name of the crate typed before something critical is allowed."""
        from buildperm.tui.screens.critical import CriticalScreen  # Not before it is opened.

        def take(is_typed: bool | None) -> None:
            if is_typed:
                allow()

        screen = CriticalScreen(proposal, proposal.choices[index], self._pace)
        self.app.push_screen(screen, take)

    def _choose(self, proposal: Proposal, index: int) -> None:
        """Choose another rule; what is allowed has to be allowed anew where it becomes wider."""
        if not 0 <= index < len(proposal.choices):
            return

        if refusal := self._agenda.choice_refusal(proposal, index):
            self._show_notice(refusal)
            return
        was_allowed = self._agenda.answer(proposal) is Answer.ALLOW
        self._agenda.choose(proposal, index)
        asks_again = was_allowed and self._agenda.answer(proposal) is not Answer.ALLOW
        told = f"Rule: {shown(proposal.choices[index].title)}." if self._is_list_alone else ""
        if asks_again:
            told = self._told("It allows more, so it is undecided again: {review.allow} allows it.")
        self._show_notice(told)
        self._show_step()

    # What keys do.

    def action_distrust(self) -> None:
        """List all that the crate under the cursor wants, to deny it."""
        group = self._tree.group
        if group is None or self._came_too_early():
            return
        wanted = distrust.rows(self._agenda, group.crate)
        if not wanted:
            self._show_notice("It wants nothing that could be denied.")
            return
        local = self._agenda.is_local(distrust.package_name(group.crate))
        told = distrust.consequences(group.crate, is_local=local)
        screen = BatchScreen(self._guard, {"y": Answer.DENY}, wanted, self._agenda.rule_text, told)
        self.app.push_screen(screen, partial(self._take_distrust, group.crate, wanted[0]))

    def _take_distrust(self, crate: str, first: Proposal, answer: Answer | None) -> None:
        if answer is None:
            return
        count = self._agenda.distrust(crate)
        self._after_answer(first)
        if not self._agenda.trouble:
            back = self._told("{review.undo} takes it back.")
            self._show_notice(f"{distrust.told(crate, count)} {back}")

    def action_edit(self) -> None:
        """Have the rule under the cursor written by hand."""
        proposal = self._tree.proposal
        if self._came_too_early():
            return
        if proposal is None:
            self._show_notice("Go to a line below the crate first: a rule is edited by itself.")
            return
        lines, refusal = editable(proposal, self._agenda.chosen(proposal))
        if refusal:
            self._show_notice(refusal)
        elif self._agenda.answer(proposal) is Answer.ALLOW and self._agenda.needs_name(proposal):
            told = "It is critical, and allowed: {review.clear} clears the answer, then edit it."
            self._show_notice(self._told(told))
        else:
            from buildperm.tui.screens.edit import EditScreen

            self.app.push_screen(EditScreen(proposal, lines), partial(self._take_edit, proposal))

    def _take_edit(self, proposal: Proposal, rules: Sequence[Rule] | None) -> None:
        if rules is None:
            return
        edited = self._agenda.edit(proposal, rules)
        self.refill(going_on=False)
        if edited in self._agenda.shown:
            self._tree.reveal(edited)
        self._show_step()
        if not self._agenda.trouble:
            told = "{review.allow} allows it, {review.undo} takes it back."
            self._show_notice(self._told(f"The rule is as you wrote it; {told}"))

    def action_terms(self) -> None:
        """Have the reason and the last day of the crate under the cursor written."""
        group = self._tree.group
        if group is None or self._came_too_early():
            return
        from buildperm.tui.screens.terms import TermsScreen

        note = secrets_note(self._agenda.wanted_by(group.crate))
        screen = TermsScreen(group.crate, self._agenda.terms(group.crate), note)
        self.app.push_screen(screen, partial(self._take_terms, group.crate))

    def _take_terms(self, crate: str, terms: Terms | None) -> None:
        if terms is None or not self._agenda.set_terms(crate, terms):
            return
        self._show_step()
        if not self._agenda.trouble:
            until = f", until {terms.expires}" if terms.expires else ""
            told = self._told("{review.diff} shows it, {review.undo} takes it back.")
            self._show_notice(f"Noted for {shown(crate)}{until}. {told}")
