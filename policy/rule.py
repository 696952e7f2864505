"""Rules: what a grant allows or a denial refuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from buildperm.policy.kinds import GRANTABLE, WORDS, Kind


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """A pattern over the accesses of one kind, in the notation of `tracer.notation`."""

    kind: Kind
    pattern: str  # `*` within one path component, `**` across them, `?` one character.

    def __str__(self) -> str:
        return f"{self.kind}:{self.pattern}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a rule such as `read:$WORKSPACE/proto/**`; `str` writes it back.

        Raises:
            ValueError: It does not begin with a kind; the text says so, as a clause.
        """
        word, colon, pattern = text.partition(":")
        kind = WORDS.get(word.strip().lower())
        if not colon or kind is None:
            kinds = ", ".join(f"`{known}:`" for known in GRANTABLE)
            raise ValueError(f"begins with none of {kinds}")
        return cls(kind, pattern.strip())
