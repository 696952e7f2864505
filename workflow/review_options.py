"""The options of `learn` and `review`."""

from __future__ import annotations

from dataclasses import dataclass

from buildperm.policy.proposal import Risk
from buildperm.report import next_command
from buildperm.workflow.review_changes import Prune


@dataclass(frozen=True, slots=True)
class ReviewOptions:
    """What the command line says about one review."""

    command: str  # `learn` or `review`.
    accept: Risk | None = None  # Up to this risk all is allowed without asking; None: nothing is.
    dry_run: bool = False  # Write nothing.
    runs: int = 1  # How often each build script is run.
    prune: Prune = "never"
    words: tuple[str, ...] = ()  # For Cargo, as they were given.

    @property
    def again(self) -> str:
        """Return the command that asks again, as a person would type it."""
        return next_command.again(f"buildperm {self.command}", self.words)
