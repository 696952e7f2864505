"""The seam to the front ends: what is put to a person, what a front end may call, how it ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from buildperm.presentation.baseline_accesses import BaselineAccesses
from buildperm.presentation.proposal_evidence import proposal_evidence
from buildperm.presentation.wording import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from buildperm.policy.comparison import Comparison
    from buildperm.policy.decision import Answer, JournalEntry
    from buildperm.policy.proposal import Proposal
    from buildperm.policy.review_state import Review
    from buildperm.presentation.proposal_evidence import ProposalEvidence


class ReviewEnd(StrEnum):
    """What the person wants done with the decisions; the review itself never writes."""

    WRITE = "write"  # Write what is decided to Cargo.toml, as it was shown in the diff.
    KEEP = "keep"  # Write nothing; the journal keeps the decisions for the next time.
    DISCARD = "discard"  # Write nothing and forget the decisions.


@dataclass(frozen=True, slots=True)
class Failure:
    """A crate that does not get by with what has been granted."""

    crate: str
    version: str
    sentence: str  # What happened, in notation where the crate had a say in it.
    proposals: tuple[Proposal, ...] = ()  # What it wanted besides; they join the review.
    unlisted: frozenset[str] = frozenset()  # Folders that no grant opens as it is, by target.


class Progress(Protocol):
    """Receives the progress of a verifying run."""

    def __call__(self, done: int, total: int, crate: str, /) -> bool:
        """Show it, and return whether anybody is still waiting for the outcome."""


class Preview(Protocol):
    """Makes the edit without saving it."""

    def __call__(self) -> tuple[bytes, bytes]:
        """Return Cargo.toml as it is and as it would be.

        Raises:
            BuildpermError: The file cannot be read, or was changed meanwhile.
        """


class Verify(Protocol):
    """Runs what is concerned under the grants as they would be."""

    def __call__(self, progress: Progress, /) -> Sequence[Failure]:
        """Block until they have run; called on a thread of its own.

        Raises:
            BuildpermError: They cannot be run.
        """


class Journal(Protocol):
    """Keeps every step of a review as it is made."""

    def __call__(self, entry: JournalEntry, /) -> None:
        """Keep one step.

        Raises:
            BuildpermError: It cannot be kept.
        """


class EvidenceSource(Protocol):
    """Knows what lies behind a proposal; may take some 100 ms: screens ask on another thread."""

    def of(self, proposal: Proposal, /) -> ProposalEvidence:
        """Return what is known, be it little."""

    def edit(self, proposal: Proposal, chosen: int, answer: Answer, /) -> tuple[str, ...]:
        """Return the diff of Cargo.toml for one answer about one proposal alone.

        Args:
            proposal: What is answered.
            chosen: Index of the choice.
            answer: Allow or deny.

        Raises:
            BuildpermError: Cargo.toml cannot be read, or cannot hold it.
        """


class NoEvidence:
    """Where nothing but the proposals themselves is at hand."""

    def of(self, proposal: Proposal, /) -> ProposalEvidence:
        """Return what the proposal itself holds."""
        return proposal_evidence(proposal, (), missing="There is no recording of it here.")

    def edit(self, _proposal: Proposal, _chosen: int, _answer: Answer, /) -> tuple[str, ...]:
        """Return nothing: there is no Cargo.toml."""
        return ()


class Unsaved(Protocol):
    """Tells what writing would note besides Cargo.toml."""

    def __call__(self) -> Sequence[str]:
        """Return the crates that buildperm.lock would note as reviewed, in words."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How many crates ran something, those that need nothing included."""

    scripts: int = 0
    macros: int = 0

    def __str__(self) -> str:
        if self.macros and not self.scripts:
            return plural(self.macros, "procedural macro")
        told = plural(self.scripts, "build script")
        return f"{told} and {plural(self.macros, 'procedural macro')}" if self.macros else told


@dataclass(frozen=True, slots=True)
class ReviewSession:
    """What is put to a person, and what happens with the answers."""

    review: Review
    preview: Preview
    verify: Verify
    journal: Journal
    heading: str  # The command and the workspace.
    summary: str  # How many crates need a person.
    ran: Ran
    comparisons: Mapping[tuple[str, str], Comparison] = field(default_factory=dict)
    evidence: EvidenceSource = field(default_factory=NoEvidence)
    baseline: BaselineAccesses = field(default_factory=lambda: BaselineAccesses({}))
    unsaved: Unsaved = tuple
    is_tried: bool = True  # Whether `verify` builds; else it only compares with a report.


class FrontEnd(Protocol):
    """Asks a person: on the screens, or in plain text."""

    def conduct(self, session: ReviewSession, /) -> ReviewEnd:
        """Ask until all is decided or the person stops; return what is to be done."""
