"""The question before leaving."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.containers import Vertical

from buildperm.presentation.closing_text import unsaved_text
from buildperm.presentation.front_end import ReviewEnd
from buildperm.presentation.wording import plural
from buildperm.tui.key_bindings import bindings
from buildperm.tui.key_names import key_names
from buildperm.tui.screens.dialog import Dialog
from buildperm.tui.unobeyed_key import TOO_EARLY
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.sheet import Sheet
from buildperm.tui.widgets.styled_line import Line, hanging

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from buildperm.tui.type_ahead import TypeAheadGuard

_ANSWERS = (ReviewEnd.WRITE, ReviewEnd.KEEP, ReviewEnd.DISCARD)
_UNDECIDED: Final = "Nothing to write: nothing is decided."


class LeaveScreen(Dialog[ReviewEnd | None]):
    """Asks what to do with the decisions; dismisses with None to go back to them."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("leave")

    def __init__(
        self,
        guard: TypeAheadGuard,
        *,
        decided: int,
        undecided: int,
        unsaved: Sequence[str] = (),
    ) -> None:
        """Ask.

        Args:
            guard: Against keys meant for another screen.
            decided: How many decisions are made.
            undecided: How many are left.
            unsaved: The crates that buildperm.lock would note as reviewed.
        """
        super().__init__()
        self._guard = guard
        self._unsaved = tuple(unsaved)
        self._decided = decided
        self._undecided = undecided

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical(classes="dialog", id="leave"):
            yield Page(id="leave-answers")

    def on_mount(self) -> None:
        """Ask."""
        page = self.query_one(Page)
        page.border_title = "Leave"
        page.show(self._lines)
        self.call_after_refresh(self._fit)

    def on_resize(self) -> None:
        """Make room for all that is said at the new width."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        page = self.query_one(Page)
        page.styles.height = page.line_count + 4  # Border and padding.

    def on_screen_resume(self) -> None:
        """Swallow keys that were pressed for another screen."""
        self._guard.hold()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Grey out writing while nothing is decided."""
        nothing = action == "answer" and parameters == ("write",) and not self._can_write
        return None if nothing else True

    def obstacles(self) -> Mapping[str, str]:
        """Say why nothing can be written."""
        return {"answer('write')": _UNDECIDED}

    @property
    def _can_write(self) -> bool:
        return bool(self._decided) or not self._undecided

    def action_answer(self, outcome: str) -> None:
        """Take the answer, unless it came too early to be one."""
        if self._guard.swallows():
            self.explain(TOO_EARLY)
        else:
            self.dismiss(ReviewEnd(outcome))

    def action_back(self) -> None:
        """Stay."""
        self.dismiss(None)

    @on(Sheet.Clicked)
    def _answer_clicked(self, clicked: Sheet.Clicked) -> None:
        if clicked.target == len(_ANSWERS):
            self.action_back()
        elif clicked.target or self._can_write:
            self.dismiss(_ANSWERS[clicked.target])
        else:
            self.explain(_UNDECIDED)

    def _lines(self, cells: int) -> Iterator[Line]:
        if self._decided:
            left = f"{self._undecided} left" if self._undecided else "none left"
            told = f"{plural(self._decided, 'decision')} made, {left}."
        else:
            told = "Nothing has to be decided." if self._can_write else "Nothing is decided."
        yield from hanging((), told, "", cells)
        if self._unsaved:
            yield from hanging((), unsaved_text(self._unsaved), "waiting", cells)
        yield Line()
        tone = "accent" if self._can_write else "muted"
        what = "check the decisions, then write them"
        if not self._decided and self._can_write:
            what = "write buildperm.lock alone"
        write, keep_it, discard, back = (
            f"{key_names(self.app, f'leave.{name}'):>3}  "
            for name in ("write", "keep", "discard", "back")
        )
        yield Line(
            ((write, tone), (what, "strong" if self._can_write else "muted")),
            (("asks first", "muted"),),
            0,
        )
        keep = "keep the decisions, write nothing"
        if not self._decided:
            keep = "write nothing for now"
        yield Line(((keep_it, "accent"), (keep, "strong")), (), 1)
        yield Line(((discard, "accent"), ("forget the decisions, write nothing", "")), (), 2)
        yield Line()
        yield Line(((back, "accent"), ("go back", "")), (), 3)
