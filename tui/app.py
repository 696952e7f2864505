"""The review as a Textual application, which returns how it ended."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING

from textual import events, on

from buildperm.presentation import console
from buildperm.presentation.agenda import Agenda
from buildperm.presentation.baseline_accesses import BaselineAccesses
from buildperm.presentation.closing_text import noted_text
from buildperm.presentation.front_end import NoEvidence, Ran, ReviewEnd
from buildperm.printable import shown
from buildperm.tui.appearance import Appearance
from buildperm.tui.key_pace import KeyPace
from buildperm.tui.screen_app import ScreenApp
from buildperm.tui.screens.inbox import InboxScreen
from buildperm.tui.type_ahead import TypeAheadGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from textual.screen import Screen

    from buildperm.policy.comparison import Comparison
    from buildperm.policy.review_state import Review
    from buildperm.presentation.build_thread import BuildThread
    from buildperm.presentation.build_viewer import Appraise, Build, Result
    from buildperm.presentation.front_end import (
        EvidenceSource,
        Journal,
        Preview,
        ReviewSession,
        Unsaved,
        Verify,
    )
    from buildperm.tui.build_app import BuildScreens
    from buildperm.tui.screens.diff import DiffResult


class ReviewApp(ScreenApp[ReviewEnd]):
    """Lets a person decide; `run` returns the outcome, None where the terminal went away.

    Args:
        review: What is decided here; it keeps the decisions when the application has ended.
        preview: Makes the edit of Cargo.toml without saving it.
        verify: Runs the build scripts concerned under the new grants, on a thread of its own.
        journal: Hears of every decision as it is made.
        comparisons: How build scripts differ from the last reviewed ones, by crate and version.
        heading: What is reviewed: the command and the workspace.
        summary: How much of it needs a person, in a few words.
        ran: What ran, those that need nothing included.
        appearance: How it looks, and which keys work.
        evidence: Knows what lies behind a proposal; None where nothing but itself is at hand.
        baseline: What was seen and needs no decision.
        unsaved: Tells what buildperm.lock would note besides.
        is_tried: Whether `verify` builds; else it only compares with a report.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        review: Review,
        *,
        preview: Preview,
        verify: Verify,
        journal: Journal,
        comparisons: Mapping[tuple[str, str], Comparison] = MappingProxyType({}),
        heading: str = "",
        summary: str = "",
        ran: Ran = Ran(),  # noqa: B008 - it never changes
        appearance: Appearance = Appearance(),  # noqa: B008 - it never changes
        evidence: EvidenceSource | None = None,
        baseline: BaselineAccesses | None = None,
        unsaved: Unsaved = tuple,
        is_tried: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(appearance)
        self._agenda = Agenda(review, journal, comparisons)
        self._preview = preview
        self._verify = verify
        self._unsaved = unsaved
        self._is_tried = is_tried
        self._guard = TypeAheadGuard(clock)
        self._pace = KeyPace(clock)
        self._key: events.Key | None = None  # The latest.
        self._inbox = InboxScreen(
            self._agenda,
            self._guard,
            TypeAheadGuard(clock),
            self._pace,
            heading=shown(heading),
            summary=shown(summary),
            ran=ran,
            evidence=evidence or NoEvidence(),
            baseline=baseline or BaselineAccesses({}),
        )

    @classmethod
    def of(cls, session: ReviewSession, appearance: Appearance) -> ReviewApp:
        """Return the application that puts a session to a person."""
        return cls(
            session.review,
            preview=session.preview,
            verify=session.verify,
            journal=session.journal,
            heading=session.heading,
            summary=session.summary,
            ran=session.ran,
            comparisons=session.comparisons,
            appearance=appearance,
            evidence=session.evidence,
            baseline=session.baseline,
            unsaved=session.unsaved,
            is_tried=session.is_tried,
        )

    def trust_keys(self) -> None:
        """Take what comes next as meant, however soon it comes."""
        self._guard.release()

    def on_ready(self) -> None:
        """Say what still has to be written where nothing has to be decided."""
        unsaved = self._unsaved() if self._agenda.is_settled else ()
        if unsaved and not self._agenda.has_answers:
            told = "Nothing has to be decided. {review.write} writes:"
            self._inbox.tell(told, noted_text(unsaved))

    def get_default_screen(self) -> Screen[None]:
        """Begin with the inbox."""
        return self._inbox

    async def on_event(self, event: events.Event) -> None:
        """Take notice of every key once, before it is obeyed; one that nobody wants comes back."""
        if isinstance(event, events.Key) and event is not self._key:
            self._key = event
            self._pace.note()
        await super().on_event(event)

    @on(InboxScreen.DiffWanted)
    def show_diff(self, message: InboxScreen.DiffWanted) -> None:
        """Open the last look before writing."""
        self._open_diff(checking=message.writing)

    def _open_diff(self, *, checking: bool) -> None:
        from buildperm.tui.screens.diff import DiffScreen  # Not before it is opened, as below.

        if isinstance(self.screen, DiffScreen):
            return
        screen = DiffScreen(
            self._agenda,
            self._guard,
            self._pace,
            self._preview,
            self._verify,
            unsaved=self._unsaved(),
            is_tried=self._is_tried,
            checking=checking,
        )
        self.push_screen(screen, self._take_check)

    def action_leave(self) -> None:
        """Ask what to do with the decisions; leave at once if nothing can be lost."""
        counts = self._agenda.counts()
        decided = counts.allowed + counts.denied
        unsaved = self._unsaved() if self._agenda.is_settled else ()
        if not (decided or unsaved or self._agenda.is_settled):
            self.exit(ReviewEnd.KEEP)
        else:
            from buildperm.tui.screens.leave import LeaveScreen

            screen = LeaveScreen(
                self._guard, decided=decided, undecided=counts.open, unsaved=unsaved
            )
            self.push_screen(screen, self._take_outcome)

    def _take_check(self, checked: DiffResult | None) -> None:
        if checked is None:
            return
        if checked.writing:
            self.exit(ReviewEnd.WRITE)
            return
        new = [each for failure in checked.failures for each in failure.proposals]
        if new:
            self._agenda.add(new)
        self._inbox.show_missing(checked.failures)

    def _take_outcome(self, outcome: ReviewEnd | None) -> None:
        if outcome is ReviewEnd.WRITE:
            self._open_diff(checking=True)
        elif outcome is not None:
            self.exit(outcome)


class Screens:
    """The front end on the whole terminal, which shows builds, too."""

    def __init__(self, appearance: Appearance) -> None:
        self._appearance = appearance
        self._build: BuildScreens | None = None  # Still on the terminal, until another takes over.

    def watch(self, heading: str, appraise: Appraise, build: Build[Result], /) -> Result:
        """Show a build while it runs; its screen stays until `conduct` or `close`."""
        from buildperm.presentation.build_thread import BuildThread

        thread = BuildThread(appraise, build)
        thread.start()
        return self.show(heading, thread)

    def show(self, heading: str, thread: BuildThread[Result]) -> Result:
        """Show a build that has begun already, as `watch` does."""
        from buildperm.tui.build_app import BuildScreens

        self.close()
        console.hold()
        self._build = BuildScreens(heading, self._appearance)
        return self._build.show(thread)

    def conduct(self, session: ReviewSession, /) -> ReviewEnd:
        """Ask until all is decided or the person stops; return what is to be done."""
        app = ReviewApp.of(session, self._appearance)
        self._build = None  # The inbox draws over it, and gives the terminal back.
        try:
            return app.present() or ReviewEnd.KEEP
        finally:
            console.release()

    def close(self) -> None:
        """Give the terminal back, and print what was said meanwhile."""
        if self._build is not None:
            self._build.leave()
            self._build = None
        console.release()
