"""Explanations: the reasons for which a build script may do something, or may not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from buildperm.policy.rule import Rule


@dataclass(frozen=True, slots=True)
class AllowedByBaseline:
    """Every build script may do it."""

    pattern: str  # Of the baseline; empty where a reason says it.
    why: str  # A clause; empty where the pattern says it.


@dataclass(frozen=True, slots=True)
class AllowedByPreset:
    """A preset that the crate is granted holds a rule for it."""

    preset: str
    rule: Rule
    origin: str = ""  # The imported file that grants it; empty for the workspace.


@dataclass(frozen=True, slots=True)
class AllowedByRule:
    """The crate is granted it by a rule of its own."""

    rule: Rule
    origin: str = ""  # The imported file that has the rule; empty for the workspace.


@dataclass(frozen=True, slots=True)
class NotInForce:
    """A grant would allow it, but is withheld from this version."""

    rule: Rule
    preset: str  # That the rule is part of; empty for one of its own.
    why: str  # A clause.


@dataclass(frozen=True, slots=True)
class Denied:
    """A person has refused it."""

    rule: Rule
    origin: str = ""  # The imported file that says so; empty for the workspace.


@dataclass(frozen=True, slots=True)
class Sensitive:
    """It is in the sensitive tier, and no exact grant opens it."""

    why: str  # What it holds.
    wildcard: Rule | None  # A grant that covers it and cannot open it, being a pattern.


@dataclass(frozen=True, slots=True)
class NeverGrantable:
    """No grant can allow it."""

    why: str  # A clause.


@dataclass(frozen=True, slots=True)
class HabitualAttempt:
    """It is refused, and programs that try it do so out of habit and get by without."""

    pattern: str  # Of the baseline's list of such habits.


@dataclass(frozen=True, slots=True)
class NotGranted:
    """Neither the baseline nor a grant allows it, and nobody has denied it."""


Allowed: TypeAlias = AllowedByBaseline | AllowedByPreset | AllowedByRule
Refused: TypeAlias = NotInForce | Denied | Sensitive | NeverGrantable | HabitualAttempt | NotGranted
Explanation: TypeAlias = Allowed | Refused


def is_allowed(explanation: Explanation) -> bool:
    """Tell whether a build script gets what it asks for."""
    return isinstance(explanation, AllowedByBaseline | AllowedByPreset | AllowedByRule)
