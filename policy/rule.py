"""Rules: what a grant allows or a denial refuses."""

from __future__ import annotations

from dataclasses import dataclass

from buildperm.policy.kinds import Kind


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """A pattern over the accesses of one kind, in the notation of `tracer.notation`."""

    kind: Kind
    pattern: str  # `*` within one path component, `**` across them, `?` one character.

    def __str__(self) -> str:
        return f"{self.kind}:{self.pattern}"
