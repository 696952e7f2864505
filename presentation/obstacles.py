"""Why an action would do nothing where the cursor is, each in a sentence that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from buildperm.policy.decision import Answer
from buildperm.presentation.wording import answer_word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildperm.policy.proposal import Proposal
    from buildperm.presentation.agenda import Agenda, ProposalGroup

_GIVEN: Final = (Answer.ALLOW, Answer.DENY, Answer.LATER)
_OF_PROPOSALS: Final = ("step(-1)", "step(1)", "everywhere", "evidence_screen", "edit")
_OF_CRATES: Final = ("terms", "distrust", *(f"answer('{answer}')" for answer in Answer))
_ON_A_CRATE: Final = "Go to a line below the crate first."


def obstacles(
    agenda: Agenda, group: ProposalGroup | None, proposal: Proposal | None
) -> dict[str, str]:
    """Return the actions that would do nothing, by name, each with the reason.

    Args:
        agenda: What is shown and decided.
        group: The crate that the cursor is on or in.
        proposal: The proposal that the cursor is on; None on a crate, or on what it ran.
    """
    found = dict(_about_steps(agenda))
    if agenda.comparison(group) is None:
        found["changes"] = "No earlier review of this crate to compare with."
    if proposal is None:
        empty = group is None
        lacking = "Nothing is listed: there is nothing to decide." if empty else _ON_A_CRATE
        found |= dict.fromkeys(_OF_PROPOSALS, lacking)
        if empty:
            found |= dict.fromkeys(_OF_CRATES, lacking)
        return found
    return found | dict(_about_proposal(agenda, proposal))


def _about_steps(agenda: Agenda) -> Iterator[tuple[str, str]]:
    if not agenda.can_undo:
        yield "undo", "Nothing to undo: nothing was decided yet."
    if not agenda.can_redo:
        yield "redo", "Nothing to redo: no step was undone."


def _about_proposal(agenda: Agenda, proposal: Proposal) -> Iterator[tuple[str, str]]:
    given, chosen = agenda.answer(proposal), agenda.chosen(proposal)
    for answer in _GIVEN:
        if refusal := agenda.refusal(proposal, answer):
            yield f"answer('{answer}')", refusal
        elif answer is given:
            yield f"answer('{answer}')", f"Already {answer_word(proposal, answer)}."
    if given is Answer.UNDECIDED:
        yield "answer('undecided')", "Nothing to clear: it is undecided."
    if not agenda.elsewhere(proposal):
        yield "everywhere", "No other crate asks for the same."
    if len(proposal.choices) == 1:
        yield from ((f"step({by})", "There is only one rule for it.") for by in (-1, 1))
    elif chosen == 0:
        yield "step(-1)", "This is the narrowest rule."
    elif chosen == len(proposal.choices) - 1:
        yield "step(1)", "This is the widest rule that can be chosen here."
    for by in (-1, 1):
        exists = 0 <= chosen + by < len(proposal.choices)
        if exists and (refusal := agenda.choice_refusal(proposal, chosen + by)):
            yield f"step({by})", refusal
