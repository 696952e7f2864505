"""Answers of the inbox that need a screen of their own before they are given."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.screen import Screen

from buildperm.policy.decision import Answer
from buildperm.presentation import distrust
from buildperm.tui.screens.batch import BatchScreen

if TYPE_CHECKING:
    from buildperm.policy.proposal import Proposal
    from buildperm.presentation.agenda import Agenda
    from buildperm.tui.type_ahead import TypeAheadGuard
    from buildperm.tui.widgets.crates import CrateTree


class SpecialAnswers(Screen[None]):
    """The part of the inbox that asks once more; the inbox says where the cursor is."""

    _agenda: Agenda
    _guard: TypeAheadGuard

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
        rows = [(each, self._agenda.rule_text(each)) for each in wanted]
        told = distrust.consequences(group.crate)
        screen = BatchScreen(self._guard, {"y": Answer.DENY}, rows, told)
        self.app.push_screen(screen, partial(self._take_distrust, group.crate, wanted[0]))

    def _take_distrust(self, crate: str, first: Proposal, answer: Answer | None) -> None:
        if answer is None:
            return
        count = self._agenda.distrust(crate)
        self._after_answer(first)
        if not self._agenda.trouble:
            self._show_notice(distrust.told(crate, count))
