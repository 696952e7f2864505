"""What is likely to be done next in a review, so that a footer can teach it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.policy.decision import Answer

if TYPE_CHECKING:
    from buildperm.policy.proposal import Proposal
    from buildperm.presentation.agenda import Agenda


def next_actions(agenda: Agenda, proposal: Proposal | None) -> tuple[str, ...]:
    """Return the ids of actions, the likeliest first.

    Args:
        agenda: What is decided.
        proposal: The one that the cursor is on; None on a crate.
    """
    if not agenda.groups:
        return ("review.back",) if agenda.is_filtered else ("review.leave",)
    if agenda.is_settled:
        return ("review.write",)
    if proposal is None:
        return ("review.next", "review.open")
    if agenda.answer(proposal) in (Answer.UNDECIDED, Answer.LATER):
        return "review.allow", "review.deny", "review.later"
    return "review.next", "review.undo"
