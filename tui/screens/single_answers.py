"""Answers of the inbox about the proposal under the cursor, and the steps back and forth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from buildperm.policy.decision import Answer
from buildperm.policy.proposal import Reason, Risk
from buildperm.presentation.wording import plural, short_title
from buildperm.printable import shown
from buildperm.tui.screens.batch_answers import CAME_UP, BatchAnswers

if TYPE_CHECKING:
    from buildperm.policy.proposal import Proposal

_UNSEEN: Final = "It is of high risk: {review.open} shows the rule, {review.allow} allows it then."


class SingleAnswers(BatchAnswers):
    """The part of the inbox that answers one proposal, and goes on to the next."""

    def action_answer(self, answer: str) -> None:
        """Answer the proposal under the cursor, or list all of a crate's for one answer."""
        self._answer(Answer(answer))

    def action_undo(self) -> None:
        """Undo the last step and go to what it was about."""
        self._return_to(self._agenda.undo(), "Taken back")

    def action_redo(self) -> None:
        """Repeat the step that was undone and go to what it is about."""
        self._return_to(self._agenda.redo(), "Taken again")

    # How it goes on.

    def _answer(self, answer: Answer) -> None:
        if self._came_too_early():
            return
        proposal, listed = self._tree.proposal, self._tree.cause or self._tree.group
        if proposal is None:
            self._ask_batch(answer, listed.proposals if listed is not None else ())
        elif answer is Answer.ALLOW and self._pause.swallows():
            self._show_notice(self._told(f"{CAME_UP} {{review.allow}} again."))
        elif refusal := self._agenda.refusal(proposal, answer):
            self._show_notice(refusal)
        elif answer is Answer.ALLOW and self._agenda.needs_name(proposal):
            chosen = self._agenda.chosen(proposal)
            self._ask_name(proposal, chosen, lambda: self._decide(proposal, answer))
        elif answer is Answer.ALLOW and self._is_unseen(proposal):
            self._show_notice(self._told(_UNSEEN))
        else:
            self._decide(proposal, answer)

    def _is_unseen(self, proposal: Proposal) -> bool:
        """Tell whether a rule of high risk would be allowed that is not on the screen."""
        return self._is_list_alone and self._agenda.is_high(proposal)

    def _decide(self, proposal: Proposal, answer: Answer) -> None:
        """Give an answer, and say what else of the crate it has settled."""
        group = self._tree.group
        others = [each for each in group.proposals if each.wanted_by] if group is not None else []
        before = [self._agenda.answer(each) for each in others]
        self._agenda.decide([proposal], answer)
        along = [
            each
            for each, had in zip(others, before, strict=True)
            if each.id != proposal.id and self._agenda.answer(each) is not had
        ]
        self._after_answer(proposal)
        if along and not self._agenda.trouble:
            programs = ", ".join(dict.fromkeys(shown(each.wanted_by) for each in along))
            told = f"{plural(len(along), 'proposal')} that only {programs} wanted"
            back = self._told("{review.undo} takes all of it back.")
            self._show_notice(f"Settled along with it: {told}. {back}")

    def _after_answer(self, proposal: Proposal) -> None:
        """Go to the next undecided proposal, unless the answer was to clear one."""
        self._show_notice("")
        if self._agenda.answer(proposal) is not Answer.UNDECIDED:
            found = self._agenda.next_undecided(proposal, 1)
            if found is None:
                told = "Everything shown is decided. {review.write} shows the diff and writes."
                self._show_notice(self._told(told))
            else:
                self._tree.reveal(found)
                if found.risk >= Risk.HIGH:
                    self._pause.hold()
                if found.reason is not Reason.ASKED and proposal.reason is Reason.ASKED:
                    told = "What has to be decided is decided; {review.write} writes. "
                    self._show_notice(self._told(f"{told}The rest is up to you."))
        self._show_step()

    def _return_to(self, proposal: Proposal | None, told: str) -> None:
        if proposal is not None:
            self._tree.reveal(proposal)
            told = f"{told}: {short_title(proposal)}"
        self._show_notice(f"{told}." if self._is_list_alone or proposal is None else "")
        self._show_step()
