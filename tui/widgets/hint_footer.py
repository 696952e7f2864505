"""The footer: the next sensible keys first, and only what is possible."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from buildperm.printable import drawable
from buildperm.tui.key_bindings import place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from textual import events
    from textual.screen import Screen

_PREFIX = "hint-footer--"
_PARTS = ("hover", "key", "label", "next")


@dataclass(frozen=True, slots=True)
class Hint:
    """One key in the footer."""

    key: str  # As Textual names it.
    display: str
    label: str
    told: str  # What the mouse is told that rests on it.
    is_next: bool

    @property
    def cells(self) -> int:
        """How wide it is, with the gap behind it."""
        return cell_len(self.display) + cell_len(self.label) + 2


class HintFooter(ScrollView, can_focus=False):
    """Teaches: what is likely to come next stands first and is bright, the rest follows.

    Keys that would do nothing now are left out; pressing one says why. It is one line, drawn as a
    whole, because it changes with nearly each key: a widget for each of them would take longer to
    lay out than everything else on the screen.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"{_PREFIX}{part}" for part in _PARTS}

    def __init__(self) -> None:
        super().__init__()
        self._next: tuple[str, ...] = ()
        self._labels: dict[str, str] = {}
        self._is_due = False
        self._pointed = -1  # Index of the hint below the mouse.
        self.hints: tuple[Hint, ...] = ()
        """The keys, from the left."""

    def on_mount(self) -> None:
        """Follow what is possible."""
        self.screen.bindings_updated_signal.subscribe(self, self._take_bindings)
        self._lay_soon()

    def on_unmount(self) -> None:
        """Follow no longer."""
        self.screen.bindings_updated_signal.unsubscribe(self)

    def suggest(self, identifiers: Iterable[str], labels: Mapping[str, str]) -> None:
        """Put actions first, by their ids, and call some by what they would do now."""
        chosen, called = tuple(identifiers), dict(labels)
        if (chosen, called) != (self._next, self._labels):
            self._next, self._labels = chosen, called
            self._lay_soon()

    def render_line(self, y: int) -> Strip:
        """Render the line."""
        del y
        base = self.rich_style
        styles = {name: self.get_component_rich_style(f"{_PREFIX}{name}") for name in _PARTS}
        segments: list[Segment] = []
        for number, hint in enumerate(self.hints):
            key, label = "key", "next" if hint.is_next else "label"
            if number == self._pointed:
                key = label = "hover"
            segments += (
                Segment(drawable(hint.display), base + styles[key]),
                Segment(f" {drawable(hint.label)}", base + styles[label]),
                Segment(" ", base),
            )
        left = self.scroll_offset.x
        return Strip(segments).crop_extend(left, left + self.size.width, base)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Do what the key below the mouse does."""
        self._point(event)
        if self._pointed >= 0:
            self.app.simulate_key(self.hints[self._pointed].key)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Say what the key below the mouse does."""
        self._point(event)

    def on_leave(self) -> None:
        """Point to nothing."""
        self._point_to(-1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Show what there is no room for on the right."""
        if self.allow_horizontal_scroll and self._scroll_right_for_pointer(animate=False):
            event.stop()
            event.prevent_default()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Go back to the left."""
        if self.allow_horizontal_scroll and self._scroll_left_for_pointer(animate=False):
            event.stop()
            event.prevent_default()

    def _point(self, event: events.MouseEvent) -> None:
        at = event.x + self.scroll_offset.x
        ends = accumulate(hint.cells for hint in self.hints)
        found = next((number for number, end in enumerate(ends) if at < end), -1)
        self._point_to(found)

    def _point_to(self, number: int) -> None:
        if number != self._pointed:
            self._pointed = number
            self.tooltip = self.hints[number].told if number >= 0 else None
            self.refresh()

    def _take_bindings(self, screen: Screen[object]) -> None:
        if screen is self.screen and screen.app.app_focus:
            self._lay_soon()

    def _lay_soon(self) -> None:
        """Lay out the keys once, when all that a key has done is done."""
        if not self._is_due:
            self._is_due = True
            self.call_after_refresh(self._lay)

    def _lay(self) -> None:
        self._is_due = False
        if not self.is_attached:
            return
        hints = tuple(self._made())
        if hints != self.hints:
            self.hints = hints
            self._point_to(-1)
            size = Size(sum(hint.cells for hint in hints), 1)
            self.set_reactive(Widget.virtual_size, size)  # Its place on the screen stays.
            self._scroll_update(size)
            self.refresh()

    def _made(self) -> Iterable[Hint]:
        found: dict[str, Hint] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            identifier = binding.id or binding.action
            is_next = identifier in self._next
            if identifier in found or not active.enabled or not (binding.show or is_next):
                continue
            display = self.app.get_key_display(binding)
            label = self._labels.get(identifier, binding.description)
            found[identifier] = Hint(binding.key, display, label, binding.tooltip, is_next)
        first = [found.pop(identifier) for identifier in self._next if identifier in found]
        return [*first, *(found[identifier] for identifier in sorted(found, key=place))]
