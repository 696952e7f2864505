"""A trace on the screen: the processes, their events beside them, and what the cursor is on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on, work
from textual.containers import Container, Horizontal
from textual.message import Message
from textual.reactive import var
from textual.widgets import Input, Label
from textual.worker import get_current_worker

from buildperm.errors import BuildpermError
from buildperm.presentation.event_filter import parse_filter
from buildperm.presentation.trace_text import count_text
from buildperm.presentation.traced_run import TracedEvent, let_through, traced_events
from buildperm.printable import shown
from buildperm.tui.key_bindings import bindings
from buildperm.tui.screens.telling_screen import TellingScreen
from buildperm.tui.widgets.cursor_list import CursorList
from buildperm.tui.widgets.evidence_lines import event_row, process_row
from buildperm.tui.widgets.filter import FilterInput
from buildperm.tui.widgets.hint_footer import HintFooter
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.styled_line import Line
from buildperm.tui.widgets.trace_lines import event_detail, node_detail, run_detail

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer

    from buildperm.presentation.process_outline import ProcessNode
    from buildperm.presentation.traced_run import TracedRun

_DELAY_S: Final = 0.05
"""Letters that are typed meanwhile are filtered for together."""


class Following(StrEnum):
    """Whose events are shown."""

    BELOW = "the process and what it started"
    ALONE = "the process alone"
    ALL = "all processes"


class TraceScreen(TellingScreen[None]):
    """Lets a person look through recordings; changes nothing."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = bindings("trace")

    filtering: var[bool] = var(False)
    """The line of the filter is shown."""

    following: var[Following] = var(Following.BELOW)

    @dataclass
    class EventsRead(Message, bubble=False):
        """All events are written in words."""

        events: Sequence[TracedEvent]

    @dataclass
    class EventsFound(Message, bubble=False):
        """The events that are let through."""

        events: Sequence[TracedEvent]

    def __init__(
        self, title: str, runs: Sequence[TracedRun], words: str, problems: Sequence[str]
    ) -> None:
        """Begin to look through recordings.

        Args:
            title: Name and version of the crate.
            runs: Its recordings; at least one.
            words: The filter to begin with.
            problems: Recordings that cannot be read, in sentences.
        """
        super().__init__()
        self._title = title
        self._runs = runs
        self._words = words
        self._notice = " ".join(problems)
        self._rows: list[tuple[int, ProcessNode | None]] = []  # A run, and one of its processes.
        for number, run in enumerate(runs):
            if len(runs) > 1:
                self._rows.append((number, None))
            self._rows += [(number, node) for node in run.nodes]
        self._events: Sequence[TracedEvent] | None = None  # None while they are read.
        self._found: Sequence[TracedEvent] = ()
        self._timer: Timer | None = None
        self._told_of: tuple[int, TracedEvent | None] | None = None

    def compose(self) -> ComposeResult:
        """Lay out head, filter, both lists, what the cursor is on, and the keys."""
        yield Page(id="trace-head", classes="bar")
        with Horizontal(id="trace-filter-row"):
            yield Label("/", markup=False)
            yield FilterInput(
                self._words,
                placeholder="kind:exec  is:refused  by:git  -target  or any words",
                id="trace-filter",
                compact=True,
            )
        with Container(id="trace-panes"):
            yield CursorList(id="trace-processes")
            yield CursorList(id="trace-events")
        yield Page(id="trace-detail")
        yield HintFooter()

    def watch_filtering(self) -> None:
        """Show or hide the line; a class of the screen would style all that it has."""
        self.query("#trace-filter-row").set_class(self.filtering, "-shown")

    def on_mount(self) -> None:
        """Show the processes, and begin to read the events."""
        for name in ("#trace-head", "#trace-detail"):
            self.query_one(name, Page).can_focus = False
        self.query_one("#trace-head", Page).show(self._head_lines)
        processes = self._processes
        processes.border_title = "Processes"
        processes.show(len(self._rows), self._process_line)
        processes.focus()
        self._title_events()
        self.filtering = bool(self._words)
        self._read()

    def explain(self, reason: str) -> None:
        """Show why the latest key did nothing, above what the cursor is on."""
        if shown(reason) != self._notice:
            self._tell(reason)

    # What keys do.

    def action_other_pane(self) -> None:
        """Go to the other list."""
        other = self._list if self.focused is self._processes else self._processes
        other.focus()

    def action_filter(self) -> None:
        """Begin to filter."""
        self.filtering = True
        self.query_one("#trace-filter", Input).focus()

    def action_follow(self) -> None:
        """Show the events of fewer or more processes."""
        order = list(Following)
        self.following = order[(order.index(self.following) + 1) % len(order)]
        self._refilter()

    def action_open(self) -> None:
        """Go from a process to its events, or from an event to its process."""
        if self.focused is not self._list:
            self._list.focus()
        elif (event := self._event) is not None:
            self._reveal(event.run, event.line.pid)
        else:
            self._tell("No event is shown.")

    def action_parent(self) -> None:
        """Go to what started the process that the cursor is on."""
        run, node = self._row
        if node is not None:
            first = node.earlier[0] if node.earlier else node.process
            self._reveal(run, first.parent)
        else:
            self._tell("No process stands above this one.")

    def action_next(self, by: int) -> None:
        """Go to the next event that was refused or failed, going round."""
        for distance in range(1, len(self._found) + 1):
            at = (self._list.cursor + by * distance) % len(self._found)
            if self._found[at].line.is_refused or self._found[at].line.has_failed:
                if at == self._list.cursor and self._list.has_focus:
                    self._tell("No other event that is shown was refused or failed.")
                self._list.focus()
                self._list.go(at)
                return
        self._tell("No event that is shown was refused or failed.")

    def action_copy(self) -> None:
        """Copy what the cursor is on."""
        _, node = self._row
        event = self._event
        if self.focused is self._list and event is not None:
            text = event.line.text
        elif node is not None:
            text = node.command
        else:
            self._tell("Nothing to copy here: go to a process or an event.")
            return
        self.app.copy_to_clipboard(text)
        self._tell(f"Copied, if the terminal lets programs do that: {shown(text)}")

    def action_back(self) -> None:
        """Leave the filter and show everything again."""
        if self.filtering:
            self.query_one("#trace-filter", Input).clear()
            self.filtering = False
        elif self._processes.has_focus:
            self._tell("Nothing to go back from.")
        self._processes.focus()

    # What happened.

    @on(CursorList.CursorMoved, "#trace-processes")
    def _follow(self) -> None:
        if self.following is not Following.ALL:
            self._refilter()
        self._show_detail()

    @on(CursorList.CursorMoved, "#trace-events")
    def _show_detail(self) -> None:
        event = self._event if self.focused is self._list else None
        told_of = self._processes.cursor, event
        # What has been read meanwhile moves the other cursor, and takes no notice away.
        if self._told_of not in (None, told_of):
            self._notice = ""
        self._told_of = told_of
        self.query_one("#trace-detail", Page).show(self._detail_lines)

    def on_descendant_focus(self) -> None:
        """Tell of what the cursor of this list is on."""
        self._show_detail()

    @on(Input.Changed, "#trace-filter")
    def _refilter(self) -> None:
        """Filter a moment later."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_DELAY_S, self._apply)

    @on(Input.Submitted, "#trace-filter")
    def _keep_filter(self) -> None:
        self.filtering = bool(self._filter_words)
        self._list.focus()

    @on(EventsRead)
    def _take_events(self, message: EventsRead) -> None:
        self._events = message.events
        self._apply()

    @on(EventsFound)
    def _take_found(self, message: EventsFound) -> None:
        current, self._found = self._event, message.events
        # The person may have gone somewhere while it was searched.
        at = next((number for number, each in enumerate(self._found) if each is current), 0)
        self._list.show(len(self._found), self._event_line, cursor=at)
        self._title_events()

    @work(thread=True, exclusive=True, group="read")
    def _read(self) -> None:
        """Write all events in words: there can be a hundred thousand."""
        self.post_message(self.EventsRead(list(traced_events(self._runs))))

    def _apply(self) -> None:
        if self._events is None:
            self._title_events()
            return
        words = self._filter_words
        try:
            parse_filter(words)
        except BuildpermError as error:
            self._tell(str(error).replace("\n", " "))
            return
        self._find(self._events, words, *self._scope)

    @work(thread=True, exclusive=True, group="find")
    def _find(
        self,
        events: Sequence[TracedEvent],
        words: str,
        run: int | None,
        keys: frozenset[int] | None,
    ) -> None:
        found = let_through(events, parse_filter(words) if words else None, run, keys)
        if not get_current_worker().is_cancelled:
            self.post_message(self.EventsFound(found))

    # Where things stand.

    @property
    def _processes(self) -> CursorList:
        return self.query_one("#trace-processes", CursorList)

    @property
    def _list(self) -> CursorList:
        return self.query_one("#trace-events", CursorList)

    @property
    def _filter_words(self) -> str:
        return self.query_one("#trace-filter", Input).value.strip()

    @property
    def _row(self) -> tuple[int, ProcessNode | None]:
        return self._rows[self._processes.cursor]

    @property
    def _event(self) -> TracedEvent | None:
        return self._found[self._list.cursor] if self._found else None

    @property
    def _scope(self) -> tuple[int | None, frozenset[int] | None]:
        """The run whose events are shown, and the processes; None for all."""
        run, node = self._row
        if self.following is Following.ALL:
            return None, None
        if node is None or (node.is_top and self.following is Following.BELOW):
            return run, None
        if self.following is Following.ALONE:
            return run, frozenset(node.keys)
        return run, self._runs[run].below(node)

    def _reveal(self, run: int, key: int) -> None:
        """Go to a process."""
        for number, (its_run, node) in enumerate(self._rows):
            if its_run == run and node is not None and key in node.keys:
                self._processes.focus()
                self._processes.go(number)
                return
        self._tell("No process stands above this one.")

    # How it is shown.

    def _tell(self, notice: str) -> None:
        self._notice = shown(notice)
        self.query_one("#trace-detail", Page).show(self._detail_lines)

    def _title_events(self) -> None:
        events = self._events
        if events is None:
            self._list.border_title = "Events: reading …"
            return
        self._list.border_title = f"Events of {self.following}"
        self._list.border_subtitle = count_text(len(self._found), len(events))

    def _head_lines(self, cells: int) -> list[Line]:
        del cells
        run = self._runs[0]
        told = run.title if len(self._runs) == 1 else f"{len(self._runs)} recordings"
        return [Line(((f" trace  {shown(self._title)}  ", "title"), (shown(told), "muted")))]

    def _process_line(self, number: int) -> Line:
        run, node = self._rows[number]
        if node is None:
            traced = self._runs[run]
            return Line(((shown(traced.title), "heading"),), ((traced.age, "muted"),))
        keys = frozenset(node.keys)
        return process_row(node, self._runs[run].subject, frozenset(), set(keys))

    def _event_line(self, number: int) -> Line:
        each = self._found[number]
        return event_row(each.line, {each.line.pid: each.who})

    def _detail_lines(self, cells: int) -> Iterator[Line]:
        if self._notice:
            yield Line(((self._notice, "waiting"),))
        run, node = self._row
        event = self._event
        if self.focused is self._list and event is not None:
            yield from event_detail(event, cells)
        elif node is not None:
            yield from node_detail(node, self._runs[run], cells)
        else:
            yield from run_detail(self._runs[run], cells)
