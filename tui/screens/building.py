"""A build while it runs: which scripts wait, run and are done, the worst yet, and Cargo's log."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.containers import Vertical
from textual.reactive import var

from buildperm.presentation.wording import risk_word
from buildperm.printable import shown
from buildperm.tui.key_bindings import bindings
from buildperm.tui.key_names import key_names
from buildperm.tui.screens.dialog import Dialog
from buildperm.tui.screens.telling_screen import TellingScreen
from buildperm.tui.widgets.build_lines import script_lines
from buildperm.tui.widgets.evidence_pane import SHOWN_ALREADY
from buildperm.tui.widgets.hint_footer import HintFooter
from buildperm.tui.widgets.notice import Notice
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.sheet import Sheet
from buildperm.tui.widgets.styled_line import Line, Piece, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from buildperm.presentation.build_tally import BuildTally

_TABS: Final = (("scripts", "Build scripts"), ("log", "Cargo's log"))


class BuildLog(Sheet):
    """What Cargo has written, wrapped; the end stays in view until somebody scrolls up."""

    def __init__(self) -> None:
        super().__init__(id="build-log")
        self._lines: list[str] = []
        self._known = 0  # Lines that there have been.
        self._follows = True
        self._wrapped: list[Line] = []
        self._wrapped_of = (0, 0)  # Width and number of lines that were wrapped.

    def take(self, tally: BuildTally) -> None:
        """Show what is new."""
        number, new = tally.lines(self._known)
        if number == self._known:
            return
        if self.display:
            self._follows = self.is_vertical_scroll_end
        self._known = number
        self._lines += [line.decode("utf-8", "replace").expandtabs(4) for line in new]
        self.relay()
        self.follow()

    def follow(self) -> None:
        """Go to the end, unless somebody has scrolled up."""
        if self._follows:
            self.scroll_end(animate=False, force=True)

    def count(self, cells: int) -> int:
        """Return the number of lines at this width; only what is new is wrapped."""
        width, done = self._wrapped_of
        if width != cells:
            self._wrapped, done = [], 0
        for text in self._lines[done:]:
            tone = _tone(text)
            self._wrapped += [Line(((part, tone),)) for part in wrap(text, cells)]
        self._wrapped_of = cells, len(self._lines)
        return len(self._wrapped)

    def line(self, number: int, cells: int) -> Line:
        """Return one line."""
        return self._wrapped[number]


def _tone(text: str) -> str:
    if text.startswith("error"):
        return "bad"
    return "waiting" if text.startswith(("warning", "buildperm:")) else ""


class RunScreen(TellingScreen[None]):
    """Shows a build; decides nothing."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("run")

    tab: var[str] = var("scripts")
    """The tab that is shown."""

    def __init__(self, heading: str, tally: BuildTally, clock: Callable[[], float]) -> None:
        super().__init__()
        self._heading = heading
        self._tally = tally
        self._clock = clock
        self._begun_s = clock()
        self._phase = "building"

    def compose(self) -> ComposeResult:
        """Lay out head, tabs, scripts, log."""
        yield Page(id="build-head", classes="bar")
        yield Page(id="build-tabs")
        yield Page(id="build-scripts")
        yield BuildLog()
        yield Notice()
        yield HintFooter()

    def on_mount(self) -> None:
        """Show what is known."""
        for name in ("#build-head", "#build-tabs"):
            self.query_one(name, Page).can_focus = False
        self._show_tab()
        self.look()

    def look(self) -> None:
        """Show where the build is now."""
        if not (self.is_mounted and self.query("#build-scripts")):
            return  # Not there yet, or being taken down.
        self.query_one("#build-head", Page).show(self._head_lines)
        self.query_one(BuildLog).take(self._tally)
        state, now_s = self._tally.state, self._clock()
        self.query_one("#build-scripts", Page).show(
            lambda cells: script_lines(state, now_s, cells), from_top=False
        )

    def show_stopping(self) -> None:
        """Say that the build is being ended."""
        self._phase = "stopping: what runs is ended"
        self.look()

    def show_ended(self) -> None:
        """Say that there is nothing more to wait for."""
        if self._phase == "building":
            self._phase = "built; making ready what there is to decide"
        self.look()

    def action_tab(self, name: str) -> None:
        """Show a tab."""
        if self.tab == name:
            self.explain(SHOWN_ALREADY)
        self.tab = name

    def action_other_tab(self) -> None:
        """Show the other tab."""
        self.tab = "log" if self.tab == "scripts" else "scripts"

    def action_scroll(self, by: int) -> None:
        """Scroll what is shown by lines."""
        self._shown().move_view(by)

    def watch_tab(self) -> None:
        """Show what was chosen."""
        if self.is_mounted:
            self._show_tab()

    @on(Sheet.Clicked, "#build-tabs")
    def _choose_tab(self, clicked: Sheet.Clicked) -> None:
        self.tab = _TABS[clicked.target][0]

    def _show_tab(self) -> None:
        self.query_one("#build-scripts").display = self.tab == "scripts"
        self.query_one("#build-log").display = self.tab == "log"
        self.query_one("#build-tabs", Page).show(self._tab_lines)
        self._shown().focus()
        self.query_one(BuildLog).call_after_refresh(self.query_one(BuildLog).follow)

    def _shown(self) -> Sheet:
        return self.query_one(f"#build-{self.tab}", Sheet)

    def _head_lines(self, cells: int) -> Iterator[Line]:
        seconds = int(self._clock() - self._begun_s)
        elapsed = f"{seconds // 60}:{seconds % 60:02}"
        risks = self._tally.state.risks()
        pieces: list[Piece] = [(" buildperm ", "title"), (shown(self._heading), "muted")]
        pieces.append((f"   {self._phase}", "strong"))
        told = [
            piece
            for risk in sorted(risks, reverse=True)
            for piece in ((f"{risks[risk]} {risk_word(risk)}", risk_word(risk)), ("  ", ""))
        ]
        yield Line(tuple(pieces), (*told, (f"{elapsed} ", "strong")))

    def _tab_lines(self, cells: int) -> Iterator[Line]:
        pieces: list[Piece] = []
        for number, (name, label) in enumerate(_TABS, 1):
            is_shown = name == self.tab
            pieces.append((f" [{number}] ", "accent" if is_shown else "muted"))
            pieces.append((f"{label}  ", "strong" if is_shown else "muted"))
        yield Line(tuple(pieces))


class StopScreen(Dialog[bool]):
    """Asks whether to stop the build."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("stop")

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical(classes="dialog", id="stop"):
            yield Page(id="stop-answers")

    def on_mount(self) -> None:
        """Ask."""
        page = self.query_one(Page)
        page.border_title = "Stop"
        page.show(self._lines)

    def action_back(self) -> None:
        """Go on."""
        self.dismiss(False)

    def action_answer(self, answer: str) -> None:
        """Stop, or go on."""
        self.dismiss(answer == "stop")

    @on(Sheet.Clicked)
    def _answer_clicked(self, clicked: Sheet.Clicked) -> None:
        self.dismiss(clicked.target == 0)

    def _lines(self, cells: int) -> Iterator[Line]:
        yield Line((("Stop the build? Nothing is written.", "strong"),))
        yield Line((("What was recorded is kept for the next time.", "muted"),))
        yield Line()
        stop, back = (key_names(self.app, f"stop.{name}") for name in ("stop", "back"))
        width = max(len(stop), len(back))
        yield Line(((f"{stop:>{width}}  ", "accent"), ("stop", "")), (), 0)
        yield Line(((f"{back:>{width}}  ", "accent"), ("go on building", "")), (), 1)
