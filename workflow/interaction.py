"""Asks a person, on the screens or in plain text."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from buildperm.cli.options import RISKS
from buildperm.policy.comparison import Comparison
from buildperm.policy.proposal import Risk
from buildperm.policy.review import Review
from buildperm.presentation import plain_prompt
from buildperm.presentation.front_end import Journal, Preview, ReviewEnd, Verify
from buildperm.workflow.review_changes import Prune

if TYPE_CHECKING:
    from buildperm.tui.app import ReviewApp

ACCEPT = dict(zip(RISKS, (None, Risk.LOW, Risk.MEDIUM), strict=True))


@dataclass(frozen=True, slots=True)
class ReviewOptions:
    """How a command wants things done."""

    name: str  # `learn` or `review`.
    no_tui: bool = False
    accept: Risk | None = None
    dry_run: bool = False
    runs: int = 1
    prune: Prune = "never"

    @property
    def on_screen(self) -> bool:
        """Whether to ask on the screens: they are wanted, and there is a terminal."""
        terminal = all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
        return terminal and not self.no_tui


@dataclass(frozen=True, slots=True)
class Interaction:
    """What is asked, and what happens with the answers."""

    review: Review
    preview: Preview
    verify: Verify
    journal: Journal
    heading: str  # The command and the workspace.
    summary: str  # How many build scripts need a person.
    scripts: int  # How many ran, those that need nothing included.
    comparisons: Mapping[tuple[str, str], Comparison] = field(default_factory=dict)

    def hold(self, manner: ReviewOptions) -> ReviewEnd:
        """Ask until the person has had enough; return what is to be done."""
        if manner.on_screen:
            return self.app().run() or ReviewEnd.KEEP
        return plain_prompt.ask(
            self.review,
            preview=self.preview,
            verify=self.verify,
            journal=self.journal,
            scripts=self.scripts,
            comparisons=self.comparisons,
        )

    def app(self) -> ReviewApp:
        """Return the screens."""
        from buildperm.tui.app import ReviewApp  # Textual takes 0.2 s to import.

        return ReviewApp(
            self.review,
            preview=self.preview,
            verify=self.verify,
            journal=self.journal,
            heading=self.heading,
            summary=self.summary,
            scripts=self.scripts,
            comparisons=self.comparisons,
        )
