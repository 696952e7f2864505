"""An application over a real review and real edits, for the tests of the screens."""

from __future__ import annotations

import html
import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from buildperm.policy import editor, manifest
from buildperm.policy.comparison import Comparison
from buildperm.policy.decision import Answer, JournalEntry
from buildperm.policy.proposal import Proposal
from buildperm.policy.review_state import Review
from buildperm.presentation.front_end import Ran
from buildperm.tui.app import ReviewApp
from buildperm.tui.appearance import Appearance
from buildperm.tui.widgets.crates import CrateTree
from buildperm.tui.widgets.sheet import Sheet
from tests.tui.proposals import SUMMARY, realistic, updated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from textual.pilot import Pilot

    from buildperm.errors import BuildpermError
    from buildperm.presentation.baseline_accesses import BaselineAccesses
    from buildperm.presentation.front_end import EvidenceSource, Failure, Progress, Verify
    from buildperm.presentation.front_end import ReviewEnd as Ending


@pytest.fixture
def after_update() -> ReviewBench:
    """Make an application over a review after an update."""
    proposals, comparisons = updated()
    return ReviewBench(
        proposals, comparisons=comparisons, heading="review  shop", summary=SUMMARY, ran=Ran(212)
    )


@pytest.fixture
def proposals() -> list[Proposal]:
    """Make the proposals of the realistic workspace."""
    return realistic()


_RAN = Ran(23)
MANIFEST = b'[package]\nname = "app"\nversion = "0.1.0"\n\n[dependencies]\nring = "0.17"\n'


class Clock:
    """A clock that stands still unless it is moved; each reading moves it by `step_s`."""

    def __init__(self, step_s: float) -> None:
        self.now_s = 0.0
        self.step_s = step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


class ReviewBench:
    """An application over a real review and real edits, with everything that it was told."""

    def __init__(
        self,
        proposals: Iterable[Proposal],
        *,
        failures: Sequence[Failure] = (),
        step_s: float = 1.0,
        ran: Ran = _RAN,
        journal: Callable[[JournalEntry], None] | None = None,
        verify: Verify | None = None,
        comparisons: Mapping[tuple[str, str], Comparison] = MappingProxyType({}),
        heading: str = "learn",
        summary: str = "",
        appearance: Appearance = Appearance(),  # noqa: B008 - it never changes
        evidence: EvidenceSource | None = None,
        baseline: BaselineAccesses | None = None,
        unsaved: Sequence[str] = (),
        is_tried: bool = True,
    ) -> None:
        self.review = Review(proposals)
        self.entries: list[JournalEntry] = []
        self.verified: list[bytes] = []
        self.failures = failures
        self.trouble: BuildpermError | None = None  # What making the edit fails with.
        self.clock = Clock(step_s)
        self.app = ReviewApp(
            self.review,
            preview=self.preview,
            verify=verify or self.verify,
            journal=journal or self.entries.append,
            comparisons=comparisons,
            heading=heading,
            summary=summary,
            ran=ran,
            appearance=appearance,
            evidence=evidence,
            baseline=baseline,
            unsaved=lambda: unsaved,
            is_tried=is_tried,
            clock=self.clock,
        )

    def preview(self) -> tuple[bytes, bytes]:
        """Make the edit that the decisions amount to."""
        if self.trouble is not None:
            raise self.trouble
        path = Path("Cargo.toml")
        after = MANIFEST
        for key, grants in self.review.grants(manifest.read(MANIFEST, path)).items():
            after = editor.with_grants(after, key, grants, path)
        return MANIFEST, after

    def verify(self, progress: Progress) -> Sequence[Failure]:
        """Report one script run, and the failures that were set."""
        self.verified.append(self.preview()[1])
        progress(1, 1, "openssl-sys")
        return self.failures

    def answers(self) -> dict[str, str]:
        """Return what has been answered, by title."""
        return {
            each.title: str(self.review.decision(each.id).answer)
            for each in self.review.proposals
            if self.review.decision(each.id).answer is not Answer.UNDECIDED
        }

    def tree(self) -> CrateTree:
        """Return the tree of the inbox."""
        return self.app.screen.query_one("#tree", CrateTree)

    def displays(self, selector: str) -> bool:
        """Tell whether a widget of the current screen is displayed."""
        found = self.app.screen.query_one(selector)
        return all(getattr(node, "display", True) for node in found.ancestors_with_self)

    def is_at(self, screen: type[object]) -> bool:
        """Tell whether the current screen is of this kind."""
        return isinstance(self.app.screen, screen)

    def outcome(self) -> Ending | None:
        """Return how the review ended; None while it has not."""
        return self.app.return_value

    def under_cursor(self) -> str:
        """Return the title of the proposal that the cursor is on; empty on a crate."""
        proposal = self.tree().proposal
        return proposal.title if proposal is not None else ""

    def chosen(self) -> int:
        """Return the choice that is made for the proposal that the cursor is on."""
        proposal = self.tree().proposal
        assert proposal is not None
        return self.review.decision(proposal.id).chosen

    def text(self, selector: str) -> str:
        """Return all lines of a sheet of the current screen."""
        sheet = self.app.screen.query_one(selector, Sheet)
        cells = sheet.scrollable_content_region.width
        lines = (sheet.line(number, cells) for number in range(sheet.count(cells)))
        return "\n".join(
            "".join(text for text, _ in (*line.left, (" ", ""), *line.right)) for line in lines
        )

    async def ended(self, pilot: Pilot[Ending]) -> None:
        """Let the application run until it has ended."""
        await self.until(pilot, lambda: self.outcome() is not None)

    async def until(self, pilot: Pilot[Ending], holds: Callable[[], bool]) -> None:
        """Let the application run until something holds; fail if it never does."""
        for _ in range(100):
            if holds():
                return
            await pilot.pause(0.02)
        raise AssertionError("it never came to hold")

    def pixels(self) -> str:
        """Return the text of the whole screen as the terminal would get it."""
        picture = re.sub(r"<style.*?</style>|<title>.*?</title>", "", self.app.export_screenshot())
        return html.unescape(re.sub(r"<[^>]+>", "", picture)).replace("\xa0", " ")


@pytest.fixture
def bench(proposals: list[Proposal]) -> ReviewBench:
    """Make an application over the realistic workspace, where no key comes too early."""
    return ReviewBench(proposals)


@pytest.fixture
def make_bench() -> type[ReviewBench]:
    """Return the class, for other proposals and other circumstances."""
    return ReviewBench
