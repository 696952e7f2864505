"""Decisions about proposals, and the steps of a review that made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from buildperm.policy.proposal import Choice, Risk

EDITED = "edited"
"""Begins the signature of a choice that a person wrote; no rule reads so, for lack of a colon."""


class Answer(StrEnum):
    """What was said about a proposal; undecided is refused when enforced, and never stored."""

    UNDECIDED = "undecided"
    ALLOW = "allow"
    DENY = "deny"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer, and the choice of its proposal that it is about."""

    answer: Answer = Answer.UNDECIDED
    chosen: int = 0  # Index into Proposal.choices.
    elsewhere: bool = False  # Allowed while looking at the same of another crate.


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for everything that a crate is granted."""

    reason: str = ""
    expires: date | None = None  # The last day; None where there is no end.


@dataclass(frozen=True, slots=True)
class SavedTerms:
    """The terms of one crate, for the journal."""

    crate: str  # The key in Cargo.toml.
    terms: Terms


@dataclass(frozen=True, slots=True)
class SavedDecision:
    """One decision in a form that outlives the proposals of this run."""

    id: str  # Of the proposal.
    version: str  # Of the crate: what was said of one version says nothing of another.
    answer: Answer
    choice: tuple[str, ...]  # See `signature`: the place of a choice in its list may change.
    elsewhere: bool = False  # As in `Decision`.


class ReviewAction(StrEnum):
    """What was done in one step."""

    DECIDE = "decide"
    UNDO = "undo"
    REDO = "redo"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One step of a review, for the journal."""

    act: ReviewAction
    picked: tuple[SavedDecision, ...]  # How the proposals concerned stand after it.
    terms: tuple[SavedTerms, ...] = ()  # And the terms of the crates concerned.


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a review has come."""

    undecided: int
    allowed: int
    denied: int
    later: int
    open_by_risk: Mapping[Risk, int]  # Undecided and later ones.

    @property
    def open(self) -> int:
        """How many are neither allowed nor denied."""
        return self.undecided + self.later


def signature(choice: Choice) -> tuple[str, ...]:
    """Write what a choice allows, to find it again among the choices of a later run."""
    preset = (f"preset:{choice.preset}",) if choice.preset else ()
    edited = (EDITED,) if choice.is_edited else ()
    consumers = (f"for {each}" for each in choice.consumers)
    return (*edited, *preset, *map(str, choice.rules), *consumers)
