"""Subjects: what of a crate ran: its build script, its macros, or a compiler on its code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from buildperm.tracer import recording_format
from buildperm.tracer.notation import encode

_NAMED_MOST = 3  # Consumers; the rest is counted.


class SubjectKind(StrEnum):
    """What of a crate ran; each of them is held, recorded and asked about."""

    SCRIPT = recording_format.SCRIPT
    MACRO = recording_format.MACRO
    COMPILE = recording_format.COMPILE

    @property
    def noun(self) -> str:
        """Return what people call it."""
        return _NOUNS[self]

    @property
    def run(self) -> str:
        """Return what people call it where it is told of as something of the crate's."""
        return "compilation" if self is SubjectKind.COMPILE else self.noun


_NOUNS = {
    SubjectKind.SCRIPT: "build script",
    SubjectKind.MACRO: "procedural macro",
    SubjectKind.COMPILE: "compiler",
}


@dataclass(frozen=True, slots=True, order=True)
class Role:
    """What of a crate did something, and for whom."""

    subject: SubjectKind = SubjectKind.SCRIPT
    consumer: str = ""  # Key of the crate that a macro was expanded in.

    def __str__(self) -> str:
        """Return how process chains call it, in notation."""
        told = f" for {encode(self.consumer.encode())}" if self.consumer else ""
        return f"{self.subject.noun}{told}"


NOBODY = "?"
"""Stands for the consumer of a macro that a recording does not name; no package is called so."""

OF_SCRIPT = Role()
"""What a build script does, it does for its own crate."""

SCRIPT_ALONE = (OF_SCRIPT,)
"""The roles of whatever only a build script did."""


def united(roles: Iterable[Role]) -> tuple[Role, ...]:
    """Return the roles, each once, sorted."""
    return tuple(sorted(set(roles)))


def named(crate: str, version: str, roles: Iterable[Role]) -> str:
    """Name who did something: `a 1.0.0`, `a 1.0.0 (procedural macro, for crate b)`."""
    who = f"{crate} {version}".rstrip()
    found = united(roles)
    if {role.subject for role in found} == {SubjectKind.COMPILE}:
        return f"compiling {who}"
    told = role_text(found)
    return f"{who} ({told})" if told else who


def role_text(roles: Iterable[Role]) -> str:
    """Say who of a crate did something, and for whom; empty for a build script alone.

    `procedural macro, for crate b`, `build script; procedural macro, for crates b and c`.
    """
    found = united(roles)
    if not found or found == SCRIPT_ALONE:
        return ""
    parts = []
    for subject in SubjectKind:
        theirs = [role for role in found if role.subject is subject]
        if theirs:
            consumers = consumers_text([role.consumer for role in theirs if role.consumer])
            parts.append(f"{subject.noun}, {consumers}" if consumers else subject.noun)
    return "; ".join(parts)


def consumers_text(consumers: Iterable[str]) -> str:
    """Say for whom macros were expanded, in notation: `for crates b, c, d and 4 more`."""
    names = [encode(each.encode()) for each in sorted(set(consumers))]
    if not names:
        return ""
    if len(names) == 1:
        return f"for crate {names[0]}"
    if len(names) > _NAMED_MOST:
        more = len(names) - _NAMED_MOST
        return f"for crates {', '.join(names[:_NAMED_MOST])} and {more} more"
    return f"for crates {', '.join(names[:-1])} and {names[-1]}"
