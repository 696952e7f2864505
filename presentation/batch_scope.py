"""What one answer may be given about together, and what is left out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.policy.answer_limits import BATCH_LIMIT
from buildperm.policy.decision import Answer
from buildperm.policy.proposal import Reason
from buildperm.presentation.wording import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buildperm.policy.proposal import Proposal
    from buildperm.presentation.agenda import Agenda


def scope(
    agenda: Agenda, proposals: Sequence[Proposal], answer: Answer
) -> tuple[tuple[Proposal, ...], list[str]]:
    """Return those that one answer may be given about together, and what is left out.

    Where some have to be decided, the answer is about these alone: to deny something and to
    remove an unused grant are two thoughts. Only to allow is risky: denied or left for later is
    everything that has to be decided, at any risk.
    """
    if answer is Answer.UNDECIDED:
        return tuple(p for p in proposals if agenda.answer(p) is not Answer.UNDECIDED), []
    due = [each for each in proposals if agenda.is_due(each)]
    others = proposals if len(due) < len(proposals) else ()
    optional = [each for each in others if agenda.is_optional(each)]
    if optional and not due:
        return _optional_scope(optional, answer)
    if answer is not Answer.ALLOW:
        return tuple(due), _optional_text(optional)
    taken = agenda.acceptable(due)
    ids = {each.id for each in taken}
    rest = [each for each in due if each.id not in ids]
    risky = [each for each in rest if each.risk > BATCH_LIMIT]
    locked = [each for each in rest if each.risk <= BATCH_LIMIT and agenda.refusal(each, answer)]
    wider = len(rest) - len(risky) - len(locked)
    told = []
    if risky:
        told.append(f"Left out: {len(risky)} of high or critical risk; decide them one by one.")
    if locked:
        told.append(f"Left out: {plural(len(locked), 'proposal')} that cannot be allowed here.")
    if wider:
        told.append(f"Left out: {wider} whose chosen rule allows more than was seen.")
    return tuple(taken), told + _optional_text(optional)


def _optional_text(optional: Sequence[Proposal]) -> list[str]:
    return [f"Left out: {len(optional)} that need no decision."] if optional else []


def _optional_scope(
    proposals: Sequence[Proposal], answer: Answer
) -> tuple[tuple[Proposal, ...], list[str]]:
    """Return what is removed together where nothing has to be decided: unused grants."""
    if answer is Answer.ALLOW:
        return (), ["Nothing here has to be decided; allow each one to say that it is fine."]
    unused = tuple(each for each in proposals if each.reason is Reason.UNUSED)
    rest = len(proposals) - len(unused)
    told = [f"Left out: {rest} new and already allowed; deny them one by one."] if rest else []
    return unused, told
