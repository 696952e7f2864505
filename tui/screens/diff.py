"""The last look before writing: the diff, the same in plain words, a verifying run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on, work
from textual.containers import Container
from textual.reactive import var
from textual.screen import Screen
from textual.widgets import Footer
from textual.worker import get_current_worker

from buildperm.errors import BuildpermError
from buildperm.presentation.unified_diff import WHOLE, Hunks, compare
from buildperm.printable import shown
from buildperm.tui.key_bindings import bindings
from buildperm.tui.messages import EditPreviewed, VerifyEnded, VerifyProgressed, WorkFailed
from buildperm.tui.widgets.diff_lines import balance_pieces, hunk_lines, sentence_lines
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.styled_line import Line, Piece, hanging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from buildperm.presentation.front_end import Failure, Preview, Verify
    from buildperm.tui.type_ahead import TypeAheadGuard

_MOST_STATE_LINES: Final = 12


@dataclass(frozen=True, slots=True)
class DiffResult:
    """How the last look ended."""

    writing: bool
    failures: tuple[Failure, ...]  # Of the latest verifying run.


class DiffScreen(Screen[DiffResult]):
    """Shows what writing would change and runs it; dismisses with whether to write.

    Stages: `preview` (the edit is being made) → `ready` → `verifying` → `verified` or `missing`;
    `failed` from anywhere, with the error. Writing is offered from `verified`, which it reaches by
    itself after `w`, and from `missing` on a second, informed `w`.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012

    BINDINGS: ClassVar[list[BindingType]] = bindings("diff")

    stage: var[str] = var("preview", bindings=True)
    """The stage of the last look; see the class."""

    def __init__(
        self,
        guard: TypeAheadGuard,
        preview: Preview,
        verify: Verify,
        explain: Callable[[bytes, bytes], Sequence[str]],
        *,
        settled: bool = False,
    ) -> None:
        super().__init__()
        self._guard = guard
        self._preview = preview
        self._verify = verify
        self._explain = explain
        self._settled = settled  # What was seen counts as reviewed, whatever Cargo.toml says.
        self._edit: tuple[bytes, bytes] = (b"", b"")
        self._hunks = Hunks((), 0, 0)
        self._failures: tuple[Failure, ...] = ()
        self._error: BuildpermError | None = None
        self._progress = (0, 0, "")
        self._writes_next = False

    def compose(self) -> ComposeResult:
        """Lay out the diff and its sentences above the state of the run."""
        yield Page(id="diff-head", classes="bar")
        with Container(id="diff-panes"):
            yield Page(id="diff-text")
            yield Page(id="diff-words")
        yield Page(id="diff-state")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Start making the edit."""
        self.query_one("#diff-head", Page).can_focus = False
        self.query_one("#diff-text", Page).border_title = "Cargo.toml"
        self.query_one("#diff-words", Page).border_title = "In plain words"
        self.query_one("#diff-text", Page).focus()
        self._show_state()
        self._make_edit()

    def on_screen_resume(self) -> None:
        """Swallow keys that were pressed for another screen."""
        self._guard.hold()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Grey out what the stage does not allow."""
        if action in ("write", "verify"):
            useful = not self._is_unchanged or (action == "write" and self._settled)
            ready = self.stage in ("ready", "verified", "missing")
            return True if ready and useful else None
        return True

    def action_write(self) -> None:
        """Verify, then write; write at once if the grants were verified already."""
        if self._guard.swallows():
            return
        if self.stage == "ready":
            self._writes_next = True
            self._start_verifying()
        else:
            self.dismiss(DiffResult(True, self._failures))

    def action_verify(self) -> None:
        """Verify and stay on this screen."""
        self._writes_next = False
        self._start_verifying()

    def action_back(self) -> None:
        """Go back with what the run has found."""
        self.workers.cancel_node(self)
        self.dismiss(DiffResult(False, self._failures))

    @on(EditPreviewed)
    def _show_edit(self, message: EditPreviewed) -> None:
        self._edit = message.before, message.after
        self._hunks = hunks = compare(*self._edit, WHOLE)
        sentences = message.sentences
        self.query_one("#diff-text", Page).show(lambda cells: hunk_lines(hunks, cells))
        self.query_one("#diff-words", Page).show(lambda cells: sentence_lines(sentences, cells))
        self.stage = "ready"

    @on(VerifyProgressed)
    def _show_progress(self, message: VerifyProgressed) -> None:
        self._progress = (message.done, message.total, message.crate)
        self._show_state()

    @on(VerifyEnded)
    def _end_verifying(self, message: VerifyEnded) -> None:
        self._failures = message.failures
        self.stage = "missing" if message.failures else "verified"
        if self._writes_next and not message.failures:
            self.dismiss(DiffResult(True, ()))
        self._guard.hold()  # The person may have been pressing keys while it ran.

    @on(WorkFailed)
    def _show_error(self, message: WorkFailed) -> None:
        self._error = message.error
        self.stage = "failed"

    def watch_stage(self) -> None:
        """Yield lines about the stage and its result."""
        if self.is_mounted:
            self._show_state()

    def _start_verifying(self) -> None:
        self._failures, self._progress = (), (0, 0, "")
        self.stage = "verifying"
        self._run_verify()

    @property
    def _is_unchanged(self) -> bool:
        """Whether writing would leave Cargo.toml as it is."""
        return self._edit[0] == self._edit[1]

    @work(thread=True, exclusive=True, group="diff")
    def _make_edit(self) -> None:
        try:
            before, after = self._preview()
            sentences = tuple(self._explain(before, after))
        except BuildpermError as error:
            self.post_message(WorkFailed(error))
        else:
            self.post_message(EditPreviewed(before, after, sentences))

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

    def _show_state(self) -> None:
        head = self.query_one("#diff-head", Page)
        head.show(lambda cells: [Line(
            ((" Diff & write ", "title"), (" Cargo.toml", "muted")),
            (*balance_pieces(self._hunks.added, self._hunks.removed), (" ", "")),
        )])  # fmt: skip
        state = self.query_one("#diff-state", Page)
        state.show(lambda cells: self._state_lines(cells))
        state.styles.height = min(state.line_count, _MOST_STATE_LINES) + 1

    def _state_lines(self, cells: int) -> Iterator[Line]:
        match self.stage:
            case "preview":
                yield Line((("Making the edit …", "muted"),))
            case "ready" if self._is_unchanged and self._settled:
                text = (
                    "runs what is concerned, then keeps in buildperm.lock what was seen. "
                    "Cargo.toml stays as it is."
                )
                yield from hanging((("w ", "accent"),), text, "", cells)
            case "ready" if self._is_unchanged:
                yield Line((("Nothing to write: Cargo.toml says it already.", "strong"),))
            case "ready":
                yield from hanging(
                    (("w ", "accent"),),
                    "first runs what is concerned under these grants, then writes.",
                    "",
                    cells,
                )
            case "verifying":
                yield from self._progress_lines(cells)
            case "verified":
                yield from hanging(
                    (("✓ ", "good"),),
                    "All that are concerned get by with these grants. w writes them.",
                    "",
                    cells,
                )
            case "missing":
                yield from self._failure_lines(cells)
            case _:
                for text in str(self._error).split("\n"):
                    yield from hanging((("✗ ", "bad"),), shown(text), "", cells)

    def _progress_lines(self, cells: int) -> Iterator[Line]:
        done, total, crate = self._progress
        width = max(min(cells - 50, 40), 10)
        filled = width * done // total if total else 0
        bar: tuple[Piece, ...] = (("━" * filled, "accent"), ("━" * (width - filled), "muted"))
        told = f"  {done} of {total}  {shown(crate)}" if total else "  starting"
        yield Line((("Verifying ", "strong"), *bar, (told, "muted")))

    def _failure_lines(self, cells: int) -> Iterator[Line]:
        first = self._failures[0]
        who = f"{shown(first.crate)} {shown(first.version)} still fails"
        if len(self._failures) > 1:
            who = f"{len(self._failures)} crates still fail"
        yield Line(((f"✗ {who} with these grants", "bad"),))
        for failure in self._failures:
            lead = ((f"  {shown(failure.crate)} {shown(failure.version)}  ", "strong"),)
            yield from hanging(lead, shown(failure.sentence), "", cells)
        yield from hanging(
            (("Esc ", "accent"),),
            "goes back to what is missing; w writes all the same.",
            "muted",
            cells,
        )
