"""The line in which a filter is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Horizontal
from textual.widgets import Input, Label

from buildperm.tui.key_bindings import bindings

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType


class FilterInput(Input):
    """Where the filter is typed; the keys that leave it are in the footer."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("filter")


class FilterRow(Horizontal):
    """The key that opens the filter, and the filter."""

    def compose(self) -> ComposeResult:
        """Lay out the line."""
        yield Label("/", markup=False)
        yield FilterInput(
            placeholder="kind:exec  risk:>=high  crate:*-sys  is:locked  or any words",
            id="filter",
            compact=True,
        )
