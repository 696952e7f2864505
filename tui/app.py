"""The review as a Textual application, which returns how it ended."""

from __future__ import annotations

import time
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events, on
from textual.app import App, SystemCommand

from buildperm.presentation.agenda import Agenda
from buildperm.presentation.baseline_accesses import BaselineAccesses
from buildperm.presentation.front_end import NoEvidence, Ran, ReviewEnd
from buildperm.printable import shown
from buildperm.tui.appearance import HIGH_CONTRAST, Appearance
from buildperm.tui.ascii_filter import AsciiFilter
from buildperm.tui.key_bindings import Action, ActionGroup, action_of, bindings
from buildperm.tui.key_pace import KeyPace
from buildperm.tui.screens.diff import DiffResult, DiffScreen
from buildperm.tui.screens.help import HelpScreen
from buildperm.tui.screens.inbox import InboxScreen
from buildperm.tui.screens.leave import LeaveScreen
from buildperm.tui.type_ahead import TypeAheadGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from textual.binding import Binding, BindingType
    from textual.dom import DOMNode
    from textual.filter import LineFilter
    from textual.screen import Screen

    from buildperm.policy.comparison import Comparison
    from buildperm.policy.review_state import Review
    from buildperm.presentation.front_end import (
        EvidenceSource,
        Journal,
        Preview,
        ReviewSession,
        Unsaved,
        Verify,
    )

_ASCII: Final = AsciiFilter()


class ReviewApp(App[ReviewEnd]):
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
        clock: Seconds, monotonic.
    """

    TITLE = "buildperm"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    ESCAPE_TO_MINIMIZE = False
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")

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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._is_ascii_only = appearance.is_ascii_only
        self.register_theme(HIGH_CONTRAST)
        if appearance.theme:
            self.theme = appearance.theme
        self.set_keymap(appearance.keys)
        self._agenda = Agenda(review, journal, comparisons)
        self._preview = preview
        self._verify = verify
        self._unsaved = unsaved
        self._guard = TypeAheadGuard(clock)
        self._pace = KeyPace(clock)
        self._key: events.Key | None = None  # The latest.
        self._inbox = InboxScreen(
            self._agenda,
            self._guard,
            TypeAheadGuard(clock),
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
        )

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Draw with ASCII only, where the terminal has nothing else."""
        filters = super().get_line_filters()
        return [*filters, _ASCII] if self._is_ascii_only else filters

    def get_key_display(self, binding: Binding) -> str:
        """Name a key as a keyboard does, where its sign cannot be drawn."""
        display = super().get_key_display(binding)
        return display if display.isascii() or not self._is_ascii_only else binding.key

    def get_default_screen(self) -> Screen[None]:
        """Begin with the inbox."""
        return self._inbox

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """List every action that is possible here, with its keys, and the themes."""
        keys: dict[Action, list[str]] = {}
        nodes: dict[Action, DOMNode] = {}
        for active in screen.active_bindings.values():
            action = action_of(active.binding.id)
            if action is not None and action.told and active.enabled:
                keys.setdefault(action, []).append(self.get_key_display(active.binding))
                nodes[action] = active.node
        for action, names in keys.items():
            run = partial(self.run_action, action.does, nodes[action])
            yield SystemCommand(f"{action.label}  {' '.join(names)}", action.told, run)
        yield SystemCommand("Theme", "Choose other colours", self.action_change_theme)

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
        screen = DiffScreen(
            self._agenda,
            self._guard,
            self._pace,
            self._preview,
            self._verify,
            unsaved=self._unsaved(),
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
            screen = LeaveScreen(
                self._guard, decided=decided, undecided=counts.open, unsaved=unsaved
            )
            self.push_screen(screen, self._take_outcome)

    def action_help(self) -> None:
        """List the keys of the screen that is shown, in groups."""
        keys: dict[Action, list[str]] = {}
        for active in self.screen.active_bindings.values():
            action = action_of(active.binding.id)
            if action is not None and action.told:
                keys.setdefault(action, []).append(self.get_key_display(active.binding))
        self.push_screen(
            HelpScreen(
                [
                    (
                        group,
                        [(" ".join(keys[each]), each.told) for each in keys if each.group is group],
                    )
                    for group in ActionGroup
                ]
            )
        )

    def _take_check(self, checked: DiffResult | None) -> None:
        if checked is None:
            return
        if checked.writing:
            self.exit(ReviewEnd.WRITE)
            return
        new = [each for failure in checked.failures for each in failure.proposals]
        if new:
            self._agenda.add(new)
        self._inbox.refill()

    def _take_outcome(self, outcome: ReviewEnd | None) -> None:
        if outcome is ReviewEnd.WRITE:
            if not isinstance(self.screen, DiffScreen):
                self._open_diff(checking=True)
        elif outcome is not None:
            self.exit(outcome)


class Screens:
    """The front end on the whole terminal."""

    def __init__(self, appearance: Appearance) -> None:
        self._appearance = appearance

    def conduct(self, session: ReviewSession, /) -> ReviewEnd:
        """Ask until all is decided or the person stops; return what is to be done."""
        app = ReviewApp.of(session, self._appearance)
        return app.run(mouse=self._appearance.has_mouse) or ReviewEnd.KEEP
