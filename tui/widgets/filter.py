"""The line in which a filter is typed, with what may come next."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.containers import Horizontal
from textual.suggester import Suggester
from textual.widgets import Input, Label

from buildperm.presentation.filter_completion import candidates, completed
from buildperm.printable import shown
from buildperm.tui.key_bindings import bindings
from buildperm.tui.key_names import key_label
from buildperm.tui.widgets.sheet import Sheet

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from buildperm.presentation.agenda import Agenda

_MOST_CELLS: Final = 60


class FilterInput(Input):
    """Where the filter is typed; the keys that leave it are in the footer."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("filter")


class CompletingInput(FilterInput):
    """Where the filter of a review is typed: what it knows of is completed."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("completion")

    def __init__(self, agenda: Agenda) -> None:
        super().__init__(
            placeholder="kind:exec  risk:>=high  crate:*-sys  is:locked  or any words",
            id="filter",
            compact=True,
            suggester=_Completion(agenda),
        )
        self._agenda = agenda

    def action_complete(self) -> None:
        """Complete the last word, as far as it is clear what it becomes."""
        value = completed(self.value, self._agenda.crates)
        if value == self.value:
            self.post_message(Sheet.Unmoved("Nothing completes this word."))
        self.value = value
        self.cursor_position = len(self.value)


class FilterRow(Horizontal):
    """The key that opens the filter, the filter, and what may come next."""

    def __init__(self, agenda: Agenda, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._agenda = agenda

    def compose(self) -> ComposeResult:
        """Lay out the line."""
        yield Label("/", markup=False)
        yield CompletingInput(self._agenda)
        yield Label("", id="filter-candidates", markup=False)

    def on_mount(self) -> None:
        """Begin with the fields."""
        self._show_candidates("")

    def clear(self) -> None:
        """Empty the line where everything is shown by now."""
        with self.prevent(Input.Changed):
            self.query_one("#filter", Input).clear()
        self._show_candidates("")

    @on(Input.Changed, "#filter")
    def _take_change(self, changed: Input.Changed) -> None:
        self._show_candidates(changed.value)

    def _show_candidates(self, text: str) -> None:
        """Show what may come next, as far as there is room."""
        found = [shown(each.rpartition(":")[2] or each) for each in
                 candidates(text, self._agenda.crates)]  # fmt: skip
        told = ""
        for number, each in enumerate(found):
            longer = f"{told}  {each}" if told else each
            if len(longer) > _MOST_CELLS:
                told += f"  and {len(found) - number} more"
                break
            told = longer
        key = key_label(self.app, "completion.complete")
        self.query_one("#filter-candidates", Label).update(f"{key}: {told}" if told else "")


class _Completion(Suggester):
    """Shows the rest of a word behind the cursor."""

    def __init__(self, agenda: Agenda) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._agenda = agenda

    async def get_suggestion(self, value: str) -> str | None:
        """Return the whole filter, with its last word completed."""
        found = completed(value, self._agenda.crates)
        return found if found != value and found.startswith(value) else None
