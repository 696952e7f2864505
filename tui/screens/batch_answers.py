"""Answers of the inbox about several proposals at once, each after a list of what it decides."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from buildperm.policy.decision import Answer
from buildperm.presentation import batch_scope
from buildperm.presentation.wording import ANSWER_VERBS, plural
from buildperm.tui.screens.batch import BatchScreen, EverywhereScreen
from buildperm.tui.screens.special_answers import SpecialAnswers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buildperm.policy.proposal import Proposal
    from buildperm.tui.type_ahead import TypeAheadGuard

CAME_UP: Final = "This came up by itself and is of high risk: read it, then press"


class BatchAnswers(SpecialAnswers):
    """The part of the inbox that answers several proposals in one step."""

    _pause: TypeAheadGuard  # Against allowing what came up by itself before it can be read.

    def action_answer_all(self, answer: str) -> None:
        """Answer all marked proposals, or all shown if none is marked."""
        if not self._came_too_early():
            marks = self._tree.marks
            marked = [each for each in self._agenda.shown if each.id in marks]
            self._ask_batch(Answer(answer), marked or self._agenda.shown)

    def action_everywhere(self) -> None:
        """List the crates that ask for the same access, for one answer."""
        proposal = self._tree.proposal
        if proposal is None or self._came_too_early():
            return
        if self._pause.swallows():
            self._show_notice(self._told(f"{CAME_UP} {{review.everywhere}} again."))
            return
        same = (proposal, *self._agenda.elsewhere(proposal))
        offers = {
            key: answer
            for key, answer in (("a", Answer.ALLOW), ("d", Answer.DENY))
            if not self._agenda.refusal(proposal, answer)
        }
        screen = EverywhereScreen(self._guard, offers, same, self._agenda.rule_text, ())
        self.app.push_screen(screen, partial(self._take_everywhere, proposal))

    # How it goes on.

    def _ask_batch(self, answer: Answer, proposals: Sequence[Proposal]) -> None:
        taken, left_out = batch_scope.scope(self._agenda, proposals, answer)
        if not taken:
            self._show_notice(" ".join(left_out) or "Nothing here is undecided.")
            return
        rule_of = self._agenda.rule_text
        screen = BatchScreen(self._guard, {"y": answer}, taken, rule_of, left_out)
        self.app.push_screen(screen, partial(self._take_batch, taken))

    def _take_batch(self, taken: Sequence[Proposal], answer: Answer | None) -> None:
        if answer is None:
            return
        self._agenda.decide(taken, answer)
        self._tree.marks.clear()
        self._after_answer(taken[-1])
        if not self._agenda.trouble:
            count = plural(len(taken), "proposal")
            told = self._told("{review.undo} takes it back.")
            self._show_notice(f"{ANSWER_VERBS[answer].capitalize()}: {count}. {told}")

    def _take_everywhere(self, proposal: Proposal, answer: Answer | None) -> None:
        if answer is None:
            return
        if answer is Answer.ALLOW and self._agenda.needs_name(proposal):
            chosen = self._agenda.chosen(proposal)
            self._ask_name(proposal, chosen, lambda: self._decide_everywhere(proposal, answer))
        else:
            self._decide_everywhere(proposal, answer)

    def _decide_everywhere(self, proposal: Proposal, answer: Answer) -> None:
        count = self._agenda.decide_everywhere(proposal, answer)
        self._after_answer(proposal)
        if not self._agenda.trouble:
            crates = plural(count, "crate")
            told = self._told("{review.undo} takes it back.")
            self._show_notice(f"{ANSWER_VERBS[answer].capitalize()}: in {crates}. {told}")
