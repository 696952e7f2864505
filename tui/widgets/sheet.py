"""A scrolled sheet of lines that are rendered when they come into view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.style import Style
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.widget import Widget

from buildperm.tui.widgets.styled_line import Line, strip
from buildperm.tui.widgets.tone import styled_tones, tone_style

if TYPE_CHECKING:
    from textual import events
    from textual.dom import DOMNode
    from textual.strip import Strip

_NOTHING = Line()

ALL_SHOWN = "All of it is shown."
"""What is said of a key that would scroll what needs no scrolling."""


class Sheet(ScrollView):
    """Base of everything here that shows text somebody else chose.

    A line costs nothing until it is seen, so five thousand of them scroll like five.
    """

    @dataclass
    class Clicked(Message):
        """A line that stands for something was clicked."""

        sheet: Sheet
        target: int
        column: int = 0  # Of the click, in the line.

        @property
        def control(self) -> Sheet:
            """The sheet, so that handlers can select it."""
            return self.sheet

    @dataclass
    class Unmoved(Message):
        """A key would have moved the cursor or the view, and there is nowhere to go."""

        reason: str  # A sentence.

    def count(self, cells: int) -> int:
        """Return how many lines there are when each is `cells` wide."""
        raise NotImplementedError

    def line(self, number: int, cells: int) -> Line:
        """Return line `number`, counted from 0."""
        raise NotImplementedError

    def tone_of(self, number: int) -> str:
        """Return the tone that the whole of line `number` is laid on, or none."""
        return ""

    def move_view(self, by: int) -> None:
        """Scroll by lines, or say why not."""
        reason = self.standstill(by)
        if reason:
            self.post_message(self.Unmoved(reason))
        else:
            self.scroll_relative(y=by, animate=False)

    def page_view(self, by: int) -> None:
        """Scroll by pages, or say why not."""
        self.move_view(by * max(self.scrollable_content_region.height - 1, 1))

    def standstill(self, by: int) -> str:
        """Say why the view cannot be moved down, or up where `by` is negative; empty if it can."""
        if not self.max_scroll_y:
            return ALL_SHOWN
        if by > 0 and self.scroll_offset.y >= self.max_scroll_y:
            return "This is the end."
        return "This is the beginning." if by < 0 and self.scroll_offset.y <= 0 else ""

    def relay(self) -> None:
        """Count the lines again and draw those in view that have changed."""
        self._fill()
        if self._is_wrapped_for_another_width:  # A scroll bar has come or gone.
            self._fill()
        self.redraw()

    def _fill(self) -> None:
        cells = self._cells_to_fill()
        size = Size(cells, self.count(cells))
        if size == self.virtual_size:
            return
        if cells and not (self.styles.is_auto_height or self.styles.is_auto_width):
            # Its place on the screen stays, so that nothing around it is laid out anew.
            self.set_reactive(Widget.virtual_size, size)
            self._scroll_update(size)
        else:
            self.virtual_size = size

    @property
    def _is_wrapped_for_another_width(self) -> bool:
        return self.virtual_size.width != self.scrollable_content_region.width

    def _cells_to_fill(self) -> int:
        """Return the width to wrap for: without a scroll bar if all can be seen without one."""
        region = self.scrollable_content_region
        beside = self.scrollbar_size_vertical
        # Two cells more do not halve the lines, so most sheets are wrapped once.
        if beside and region.height < self.count(region.width) <= 2 * region.height:
            whole = region.width + beside
            if self.count(whole) <= region.height:
                return whole
        return region.width

    def redraw(self) -> None:
        """Draw those lines in view again that are not what is drawn."""
        region = self.scrollable_content_region
        regions = [
            Region(0, y, region.width, 1)
            for y in range(region.height)
            if self._drawn.get(y) != self._content(y, region.width)
        ]
        if regions:
            self.refresh(*regions)

    def on_resize(self) -> None:
        """Wrap for the new width."""
        self.relay()

    def watch_show_vertical_scrollbar(self) -> None:
        """Wrap for the width that is left beside the bar, or without it: no resize tells of it."""
        self.call_later(self._wrap_again)

    def _wrap_again(self) -> None:
        if self._is_wrapped_for_another_width:
            self.relay()

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._base = Style()
        self._tones: DOMNode | None = None  # What `_styles` come from, beside the base.
        self._styles: dict[str, Style] = {}  # By tone.
        self._drawn: dict[int, tuple[Line, str]] = {}  # By line of the window.

    def notify_style_update(self) -> None:
        """Draw again where colours have changed; nearly always something else of a style has."""
        super().notify_style_update()
        base, tones = self.rich_style, styled_tones(self)
        if base != self._base or tones is not self._tones:
            self._base, self._tones = base, tones
            self._styles.clear()
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Render one line of the window."""
        cells = self.scrollable_content_region.width
        line, tone = self._drawn[y] = self._content(y, cells)
        ground = self._style_of(tone) if tone else Style()
        # Reversed, the colours of letters would be patches.
        style_of = _plain if ground.reverse else self._style_of
        return strip(line, cells, self._base + ground, style_of)

    def _content(self, y: int, cells: int) -> tuple[Line, str]:
        """Return what stands on a line of the window, and the tone that it is laid on."""
        number = y + self.scroll_offset.y
        if not 0 <= number < self.count(cells):
            return _NOTHING, ""
        return self.line(number, cells), self.tone_of(number)

    def on_click(self, event: events.Click) -> None:
        """Report which line was clicked, if it stands for something."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        cells = self.scrollable_content_region.width
        number = offset.y + self.scroll_offset.y
        if 0 <= number < self.count(cells):
            target = self.line(number, cells).target
            if target is not None:
                self.post_message(self.Clicked(self, target, offset.x))

    def _style_of(self, tone: str) -> Style:
        """Return the style of a tone, without the ground unless the tone is one."""
        if tone not in self._styles:
            self._styles[tone] = tone_style(self, self._base, tone)
        return self._styles[tone]


def edge_text(lines: int, by: int) -> str:
    """Say why a cursor cannot go down, or up where `by` is negative.

    Args:
        lines: How many there are.
        by: Where the cursor would go.
    """
    if not lines:
        return "Nothing is listed."
    return "This is the last line." if by > 0 else "This is the first line."


def _plain(tone: str) -> Style:
    """Return the style of a tone where colours tell nothing."""
    del tone
    return Style()
