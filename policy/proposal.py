"""Proposals: what a person is asked about."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from buildperm.policy.access import Access
from buildperm.policy.kinds import Kind
from buildperm.policy.role import Role, named, united
from buildperm.policy.rule import Rule


class Risk(IntEnum):
    """Four words, ordered; nothing from HIGH on is ever allowed in a batch."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2
    CRITICAL = 3


class Reason(StrEnum):
    """Why a proposal is put to a person; only the first two have to be decided."""

    ASKED = "asked"  # Neither granted nor denied: refused when enforced until it is allowed.
    DORMANT = "dormant"  # Granted, risky, and in force for one more version once that is reviewed.
    COVERED = "covered"  # New since the last review, and granted already by a wider rule.
    UNUSED = "unused"  # Granted, and no longer made use of: denying it takes the grant away.
    NEWCOMER = "newcomer"  # A build script that is new and stays within the baseline.


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to allow what a proposal is about."""

    title: str  # "these 3 files", "everything below $WORKSPACE/proto", "preset cc".
    rules: tuple[Rule, ...]  # Empty for a preset.
    preset: str = ""
    widening: str = ""  # What it allows beyond what was seen, in a sentence; empty if nothing.
    consumers: tuple[str, ...] = ()  # Keys of packages that the crate's macros get grants for.
    is_edited: bool = False  # A person wrote the rules: it may allow less than was seen, or more.
    locked: str = ""  # Why it cannot be allowed, where narrower ones can: a sentence.


@dataclass(frozen=True, slots=True)
class Proposal:
    """Accesses of one crate that are decided together."""

    id: str  # Stable over runs for the same crate, kind and targets; 12 hexadecimal digits.
    crate: str  # The key in Cargo.toml: `openssl-sys`.
    version: str
    title: str  # What it would do, in plain words: "run the C compiler".
    choices: tuple[Choice, ...]  # Narrowest portable first; never empty; see `suggested`.
    risk: Risk
    notes: tuple[str, ...]  # What speaks for the risk, and what else to know; never empty.
    evidence: tuple[Access, ...]
    locked: str = ""  # Why it cannot be allowed from here; empty if it can.
    reason: Reason = Reason.ASKED
    suggested: int = 0  # Index of the choice to begin with: see `choices.Choices`.
    wanted_by: str = ""  # The program whose doing all of it is: `git`; empty for the script itself.

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of the programs that the script or macro itself ran, as it called them."""
        return tuple(
            access.target
            for access in self.evidence
            if access.kind is Kind.EXEC and access.is_direct
        )

    @property
    def suggestion(self) -> Choice:
        """The choice to begin with."""
        return self.choices[self.suggested]

    @property
    def is_only_looks(self) -> bool:
        """Whether it is about nothing but what somebody was told to be there."""
        return bool(self.evidence) and all(access.is_answered_look for access in self.evidence)

    @property
    def roles(self) -> tuple[Role, ...]:
        """What of the crate did it, and for whom; none where nothing was done."""
        return united(role for access in self.evidence for role in access.roles)

    @property
    def who(self) -> str:
        """Name who asks: `a 1.0.0`, `a 1.0.0 (procedural macro, for crate b)`."""
        return named(self.crate, self.version, self.roles)


def proposal_id(*parts: str) -> str:
    """Return the id of a proposal that these parts make out."""
    text = "\n".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
