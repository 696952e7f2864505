"""What changed in one build script: its behaviour, and the diff of its sources beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.containers import Container
from textual.worker import get_current_worker

from buildperm.presentation import comparison_facts as changes
from buildperm.presentation.unified_diff import FileDiff, compare_files
from buildperm.tui.key_bindings import bindings
from buildperm.tui.messages import SourcesCompared
from buildperm.tui.screens.telling_screen import TellingScreen
from buildperm.tui.widgets.comparison_lines import (
    balance_pieces,
    behaviour_lines,
    origin_lines,
    title_pieces,
)
from buildperm.tui.widgets.diff_lines import file_lines
from buildperm.tui.widgets.hint_footer import HintFooter
from buildperm.tui.widgets.notice import Notice
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.styled_line import Line, Piece, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from buildperm.policy.comparison import Comparison


class ChangesScreen(TellingScreen[None]):
    """Shows a comparison; decides nothing."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012

    BINDINGS: ClassVar[list[BindingType]] = bindings("changes")

    def __init__(self, comparison: Comparison) -> None:
        super().__init__()
        self._comparison = comparison

    def compose(self) -> ComposeResult:
        """Lay out behaviour and sources below the head."""
        yield Page(id="changes-head", classes="bar")
        with Container(id="changes-panes"):
            yield Page(id="changes-behaviour")
            yield Page(id="changes-sources")
        yield Notice()
        yield HintFooter()

    def on_mount(self) -> None:
        """Show what is known, and start comparing the sources."""
        head = self.query_one("#changes-head", Page)
        head.can_focus = False
        head.show(self._head_lines)
        behaviour = self.query_one("#changes-behaviour", Page)
        behaviour.border_title = "Beyond the baseline"
        behaviour.show(self._behaviour_lines)
        sources = self.query_one("#changes-sources", Page)
        sources.border_title = "Sources"
        sources.focus()
        if self._comparison.sources:
            sources.show(lambda cells: [Line((("Comparing …", "muted"),))])
            self._compare_sources()
        else:
            sources.show(self._without_sources)

    def action_back(self) -> None:
        """Go back."""
        self.workers.cancel_node(self)
        self.dismiss(None)

    def action_scroll(self, by: int) -> None:
        """Scroll the pane that has the focus by lines."""
        if isinstance(self.focused, Page):
            self.focused.move_view(by)

    @on(SourcesCompared)
    def _show_sources(self, message: SourcesCompared) -> None:
        files = message.files
        page = self.query_one("#changes-sources", Page)
        added = sum(file.hunks.added for file in files)
        removed = sum(file.hunks.removed for file in files)
        page.border_subtitle = f"+{added} -{removed}"
        page.show(lambda cells: file_lines(files, cells))

    @work(thread=True, exclusive=True, group="changes")
    def _compare_sources(self) -> None:
        worker = get_current_worker()
        files: list[FileDiff] = []
        for file in compare_files(self._comparison.sources):
            if worker.is_cancelled:
                return
            files.append(file)
        self.post_message(SourcesCompared(tuple(files)))

    def _head_lines(self, cells: int) -> Iterator[Line]:
        title = title_pieces(self._comparison)
        right: tuple[Piece, ...] = (*balance_pieces(self._comparison), (" ", ""))
        head = Line(((" What changed  ", "title"), *title), right)
        yield head if head.cells <= cells else Line(((" ", ""), *title), right)

    def _behaviour_lines(self, cells: int) -> Iterator[Line]:
        origin = tuple(origin_lines(self._comparison, cells))
        yield from origin
        if origin:
            yield Line()
        yield from behaviour_lines(self._comparison, cells)

    def _without_sources(self, cells: int) -> Iterator[Line]:
        text = changes.sources_text(self._comparison).removeprefix("Sources: ").capitalize()
        for part in wrap(f"{text}.", cells):
            yield Line(((part, "muted"),))
