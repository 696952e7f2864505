"""The last look before writing: the diff hunk by hunk, the same in plain words, a check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on, work
from textual.containers import Container
from textual.reactive import var
from textual.worker import get_current_worker

from buildperm.errors import BuildpermError
from buildperm.presentation import edit_hunks, edit_sentences
from buildperm.presentation.edit_hunks import WHOLE_CRATE, Edit, EditHunk
from buildperm.presentation.unified_diff import Hunks
from buildperm.tui.key_bindings import bindings
from buildperm.tui.key_names import key_name, with_keys
from buildperm.tui.key_pace import ALONE_S
from buildperm.tui.messages import EditPreviewed, VerifyEnded, VerifyProgressed, WorkFailed
from buildperm.tui.screens.telling_screen import TellingScreen
from buildperm.tui.unobeyed_key import TOO_EARLY
from buildperm.tui.widgets.check_lines import ACTION_TARGETS, CheckState, state_lines
from buildperm.tui.widgets.diff_lines import balance_pieces
from buildperm.tui.widgets.edit_lines import HunkPage, edit_lines, sentence_lines
from buildperm.tui.widgets.hint_footer import HintFooter
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.sheet import ALL_SHOWN, Sheet
from buildperm.tui.widgets.styled_line import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from buildperm.presentation.agenda import Agenda
    from buildperm.presentation.edit_sentences import EditSentence
    from buildperm.presentation.front_end import Failure, Preview, Verify
    from buildperm.tui.key_pace import KeyPace
    from buildperm.tui.type_ahead import TypeAheadGuard

_MOST_STATE_LINES: Final = 12
_NO_HUNK: Final = "There is no hunk."
_FIRST_HUNK: Final = "This is the first hunk."
_LAST_HUNK: Final = "This is the last hunk."


@dataclass(frozen=True, slots=True)
class DiffResult:
    """How the last look ended."""

    writing: bool
    failures: tuple[Failure, ...]  # Of the latest check.


class DiffScreen(TellingScreen[DiffResult]):
    """Shows what writing would change and checks it; dismisses with whether to write.

    Stages: `preview` (the edit is being made) → `ready` → `checking` → `passed` or `missing`;
    `failed` from anywhere, with the error. `y` writes from `passed`; from `missing` only the
    override writes, on a screen of its own. Where Cargo.toml stays as it is, nothing has to be
    checked. Taking out a hunk leads back to `preview`.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012

    BINDINGS: ClassVar[list[BindingType]] = bindings("diff")
    AUTO_FOCUS = ""  # The screen has all keys, whichever pane they are about.

    stage: var[str] = var("preview", bindings=True)
    """The stage of the last look; see the class."""

    def __init__(
        self,
        agenda: Agenda,
        guard: TypeAheadGuard,
        pace: KeyPace,
        preview: Preview,
        verify: Verify,
        *,
        unsaved: Sequence[str] = (),
        is_tried: bool = True,
        checking: bool = False,
    ) -> None:
        """Show the edit.

        Args:
            agenda: What has been decided.
            guard: Against keys meant for another screen.
            pace: When keys were pressed.
            preview: Makes the edit without saving it.
            verify: Runs what is concerned.
            unsaved: What buildperm.lock would note as reviewed, whatever Cargo.toml says.
            is_tried: Whether `verify` builds; else it only compares with a report.
            checking: Whether to check as soon as the edit is made.
        """
        super().__init__()
        self._agenda = agenda
        self._guard = guard
        self._pace = pace
        self._preview = preview
        self._verify = verify
        self._unsaved = tuple(unsaved)
        self._is_tried = is_tried
        self._checks_next = checking
        self._edit = Edit(Hunks((), 0, 0), (), {})
        self._sentences: tuple[EditSentence, ...] = ()
        self._current = 0  # Index of the hunk that keys are about.
        self._failures: tuple[Failure, ...] = ()
        self._error: BuildpermError | None = None
        self._progress = (0, 0, "")
        self._notice = ""

    def compose(self) -> ComposeResult:
        """Lay out the diff and its sentences above the state of the check."""
        yield Page(id="diff-head", classes="bar")
        with Container(id="diff-panes"):
            yield HunkPage(id="diff-text")
            yield HunkPage(id="diff-words")
        yield Page(id="diff-state")
        yield HintFooter()

    def on_mount(self) -> None:
        """Start making the edit."""
        for page in self.query(Page):
            page.can_focus = False
        self.query_one("#diff-text", Page).border_title = "Cargo.toml"
        self.query_one("#diff-words", Page).border_title = "In plain words"
        self._show_state()
        self._make_edit()

    def on_screen_resume(self) -> None:
        """Swallow keys that were pressed for another screen."""
        self._guard.hold()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Grey out what the stage does not allow, and hide what it has no use for."""
        ready = self.stage in ("ready", "passed", "missing")
        match action:
            case "check":
                return True if ready and not self._is_unchanged else None
            case "write":
                return True if self.stage == "passed" else None
            case "override":
                return self.stage == "missing"
            case "take_out":
                return True if ready and self._hunk is not None else None
            case "undo":
                return True if ready and self._agenda.can_undo else None
            case "redo":
                return True if ready and self._agenda.can_redo else None
            case _:
                return True

    def explain(self, reason: str) -> None:
        """Show why the latest key did nothing below the state of the check."""
        if with_keys(self.app, reason) != self._notice:
            self._tell(reason)

    def obstacles(self) -> dict[str, str]:
        """Say why keys would do nothing now, by what they call."""
        if self.stage in ("preview", "checking"):
            wait = (
                "The edit is still being made."
                if self.stage == "preview"
                else "The check is still running."
            )
            return dict.fromkeys(("check", "write", "take_out", "undo", "redo"), wait)
        told = {
            "undo": "Nothing to undo: nothing was decided yet.",
            "redo": "Nothing to redo: no step was undone.",
            "take_out": "Nothing to take out: no hunk is shown.",
            "check": "Nothing to check: Cargo.toml says it already.",
            "write": "Nothing is written before the check: {diff.check} checks.",
        }
        match self.stage:
            case "failed":
                told = dict.fromkeys(told, "The edit cannot be made: {diff.back} goes back.")
            case "missing":
                told["write"] = "The check failed: {diff.override} writes all the same."
            case "ready" if self._is_unchanged:
                told["write"] = "Nothing to write: Cargo.toml says it already."
        return told

    # What keys do.

    def action_check(self) -> None:
        """Run what is concerned."""
        if self._came_too_early():
            return
        if self.stage == "missing":
            self._tell("{diff.check} does not override a failed check: {diff.override} does.")
        elif self.stage == "passed":
            self._tell("The check has passed: {diff.write} writes.")
        else:
            self._start_check()

    def action_write(self) -> None:
        """Write, unless the key is part of a burst, such as a paste."""
        if self._came_too_early():
            return
        if self._pace.is_burst:
            self._tell("Nothing is written: {diff.write} came with other keys. Press it again.")
            return
        count = self._pace.count
        self.set_timer(ALONE_S, lambda: self._write_if_alone(count))

    def action_override(self) -> None:
        """Ask for the word that writes although the check failed."""
        if not self._came_too_early():
            from buildperm.tui.screens.override import OverrideScreen  # Hardly ever opened.

            self.app.push_screen(OverrideScreen(self._failures, self._pace), self._take_override)

    def action_hunk(self, by: int) -> None:
        """Go to another hunk."""
        last = len(self._edit.hunks) - 1
        if not 0 <= self._current + by <= last:
            self._tell(_NO_HUNK if last < 0 else _LAST_HUNK if by > 0 else _FIRST_HUNK)
            return
        self._current += by
        self._mark()

    def action_page(self, by: int) -> None:
        """Scroll both panes by a page."""
        pages = list(self.query(HunkPage))
        reasons = [page.standstill(by) for page in pages]
        if all(reasons):
            self._tell(next((each for each in reasons if each != ALL_SHOWN), ALL_SHOWN))
        for page in pages:
            page.scroll_relative(y=by * max(page.size.height - 1, 1), animate=False)

    def action_take_out(self) -> None:
        """Take back the decisions behind the hunk, and make the edit anew."""
        hunk = self._hunk
        if hunk is None or self._came_too_early():
            return
        if self._pace.is_burst:
            self._tell("Nothing is taken out: {diff.take-out} came with other keys.")
        elif self._agenda.take_out(hunk):
            self._renew("Left out: it is undecided again. {diff.undo} takes it in again.")
        else:
            self._tell("It follows from the other decisions about this crate: take those out.")

    def action_undo(self) -> None:
        """Undo the last step."""
        self._agenda.undo()
        self._renew("")

    def action_redo(self) -> None:
        """Take the step again that was undone."""
        self._agenda.redo()
        self._renew("")

    def action_back(self) -> None:
        """Go back with what the check has found."""
        self.workers.cancel_node(self)
        self.dismiss(DiffResult(False, self._failures))

    # What happened.

    @on(EditPreviewed)
    def _take_edit(self, message: EditPreviewed) -> None:
        self._edit, self._sentences = message.edit, message.sentences
        self._current = min(self._current, max(len(self._edit.hunks) - 1, 0))
        self._show_edit()
        self.stage = "ready"
        if self._is_unchanged:
            self.stage = "passed" if self._unsaved or self._agenda.is_settled else "ready"
        elif self._checks_next:
            self._start_check()
        self._checks_next = False
        self._show_state()

    @on(VerifyProgressed)
    def _show_progress(self, message: VerifyProgressed) -> None:
        self._progress = (message.done, message.total, message.crate)
        self._show_state()

    @on(VerifyEnded)
    def _end_check(self, message: VerifyEnded) -> None:
        self._failures = message.failures
        self.stage = "missing" if message.failures else "passed"
        self._guard.hold()  # The person may have been pressing keys while it ran.

    @on(WorkFailed)
    def _show_error(self, message: WorkFailed) -> None:
        self._error = message.error
        self.stage = "failed"

    @on(Sheet.Clicked, "#diff-state")
    async def _obey_click(self, clicked: Sheet.Clicked) -> None:
        clicked.stop()
        await self.run_action(ACTION_TARGETS[clicked.target])

    @on(Sheet.Clicked, "HunkPage")
    def _go_to_clicked(self, clicked: Sheet.Clicked) -> None:
        self._current = clicked.target
        self._mark()

    def watch_stage(self) -> None:
        """Show the stage and its result."""
        if self.is_mounted:
            self._show_state()

    # How it goes on.

    def _came_too_early(self) -> bool:
        """Tell whether a key was pressed for what the screen showed before, and say so."""
        early = self._guard.swallows()
        if early:
            self._tell(TOO_EARLY)
        return early

    @property
    def _is_unchanged(self) -> bool:
        """Whether writing would leave Cargo.toml as it is."""
        return not (self._edit.lines.lines or self._edit.lines.notes)

    @property
    def _hunk(self) -> EditHunk | None:
        hunks = self._edit.hunks
        return hunks[self._current] if self._current < len(hunks) else None

    def _take_override(self, overriding: bool | None) -> None:
        if overriding:
            self.dismiss(DiffResult(True, self._failures))

    def _write_if_alone(self, count: int) -> None:
        """Write if no other key has followed, and nothing has changed meanwhile."""
        if self._pace.count != count:
            self._tell("Nothing is written: other keys followed {diff.write}. Press it alone.")
        elif self.stage == "passed" and self.is_current:
            self.dismiss(DiffResult(True, ()))

    def _renew(self, notice: str) -> None:
        self._failures = ()
        self._notice = with_keys(self.app, notice)
        self.stage = "preview"
        self._make_edit()

    def _start_check(self) -> None:
        self._failures, self._progress, self._notice = (), (0, 0, ""), ""
        self.stage = "checking"
        self._run_verify()

    @work(thread=True, exclusive=True, group="diff")
    def _make_edit(self) -> None:
        try:
            before, after = self._preview()
            edit = edit_hunks.edit(before, after)
            sentences = tuple(edit_sentences.explain(before, after))
        except BuildpermError as error:
            self.post_message(WorkFailed(error))
        else:
            self.post_message(EditPreviewed(edit, sentences))

    @work(thread=True, exclusive=True, group="diff")
    def _run_verify(self) -> None:
        worker = get_current_worker()

        def progress(done: int, total: int, crate: str) -> bool:
            self.post_message(VerifyProgressed(done, total, crate))
            return not worker.is_cancelled

        try:
            failures = tuple(self._verify(progress))
        except BuildpermError as error:
            self.post_message(WorkFailed(error))
        else:
            self.post_message(VerifyEnded(failures))

    # How it is shown.

    def _tell(self, notice: str) -> None:
        self._notice = with_keys(self.app, notice)
        self._show_state()

    def _show_edit(self) -> None:
        edit, sentences = self._edit, self._sentences
        text, words = self.query_one("#diff-text", Page), self.query_one("#diff-words", Page)
        text.show(lambda cells: edit_lines(edit, cells), from_top=False)
        words.show(lambda cells: sentence_lines(edit, sentences, cells), from_top=False)
        self._mark()

    def _mark(self) -> None:
        """Mark the current hunk; the first of a table stands for all of the crate."""
        hunk = self._hunk
        marked = frozenset({self._current} if hunk is not None else ())
        if hunk is not None and hunk.field == WHOLE_CRATE:
            marked = self._edit.about(hunk.crate)
        for page in self.query(HunkPage):
            page.mark(marked, self._current)

    def _show_state(self) -> None:
        head = self.query_one("#diff-head", Page)
        lines = self._edit.lines
        head.show(lambda cells: [Line(
            ((" Diff & write ", "title"), (" Cargo.toml", "muted")),
            (*balance_pieces(lines.added, lines.removed), (" ", "")),
        )])  # fmt: skip
        state = self.query_one("#diff-state", Page)
        told = CheckState(
            self.stage,
            self._is_unchanged,
            self._unsaved,
            self._progress,
            self._failures,
            str(self._error or ""),
            self._notice,
            {does: key_name(self.app, f"diff.{does}") for does in ACTION_TARGETS},
            is_tried=self._is_tried,
        )
        state.show(lambda cells: state_lines(told, cells))
        state.styles.height = min(state.line_count, _MOST_STATE_LINES) + 1
        self.call_after_refresh(self._mark)  # There may be less room now.
