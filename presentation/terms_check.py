"""What a person is told while writing why, and until when, a crate is granted anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildperm.policy import expiry
from buildperm.policy.decision import Terms
from buildperm.policy.kinds import Kind
from buildperm.presentation.wording import plural
from buildperm.printable import is_nameable, shown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from buildperm.policy.proposal import Proposal


@dataclass(frozen=True, slots=True)
class TermsCheck:
    """What became of what a person wrote."""

    terms: Terms | None  # None where it cannot be.
    told: str  # What is wrong and how to go on, or what it means.


def check(reason: str, day: str, on: date) -> TermsCheck:
    """Judge a reason and a last day; both may be empty. `on` is today."""
    reason, day = reason.strip(), day.strip()
    if reason and not is_nameable(reason):
        return TermsCheck(None, "The reason holds characters that cannot be shown: leave them out.")
    if not day:
        return TermsCheck(Terms(reason), "No last day: the grants hold until they are removed.")
    try:
        expires = expiry.parse(day)
    except ValueError as error:
        return TermsCheck(None, f"The last day {error}. Leave it empty for no end.")
    if expiry.is_over(expires, on):
        return TermsCheck(None, f"{expires} is over already (it is {on} in UTC): take a later day.")
    left = (expires - on).days
    when = "today" if not left else f"in {plural(left, 'day')}"
    return TermsCheck(
        Terms(reason, expires),
        f"The last day is {when}. From the day after, everything granted here is refused, and "
        "`buildperm review` asks again.",
    )


def secrets_note(proposals: Iterable[Proposal]) -> str:
    """Say what a reason changes beyond explaining; empty where it changes nothing.

    A variable that is named exactly passes with a reason even where its value looks like a secret.
    """
    names = dict.fromkeys(
        access.target
        for proposal in proposals
        for access in proposal.evidence
        if access.kind is Kind.ENV
    )
    if not names:
        return ""
    listed = ", ".join(map(shown, list(names)[:3])) + (" …" if len(names) > 3 else "")
    return (
        f"With a reason, a variable that is granted by its exact name ({listed}) is passed on even "
        "where its value looks like a secret."
    )
