"""Why, and until when, a crate is granted what it is granted."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical
from textual.widgets import Input, Label

from buildperm.policy import expiry
from buildperm.policy.decision import Terms
from buildperm.presentation.terms_check import TermsCheck, check
from buildperm.printable import shown
from buildperm.tui.key_bindings import bindings
from buildperm.tui.key_names import key_label, key_name
from buildperm.tui.screens.typed_lines import BACK, KEEP, TypedLinesScreen
from buildperm.tui.widgets.page import Page
from buildperm.tui.widgets.styled_line import Line, hanging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult
    from textual.binding import BindingType


class TermsScreen(TypedLinesScreen[Terms]):
    """Takes a reason and a last day; dismisses with them, or with None."""

    NAME = "terms"
    BINDINGS: ClassVar[list[BindingType]] = bindings("terms")

    def __init__(self, crate: str, terms: Terms, note: str) -> None:
        super().__init__()
        self._crate = crate
        self._terms = terms
        self._note = note  # What a reason changes besides; empty if nothing.
        self._check = TermsCheck(terms, "")

    def compose(self) -> ComposeResult:
        """Lay out the two lines above what is said of them."""
        with Vertical(classes="dialog", id="terms"):
            with Vertical(id="terms-lines"):
                yield Label("Reason", markup=False)
                yield Input(self._terms.reason, id="reason", compact=True, select_on_focus=False)
                yield Label("Last day, such as 2027-01-31; empty for no end", markup=False)
                day = str(self._terms.expires or "")
                yield Input(day, id="expires", compact=True, select_on_focus=False)
            yield Page(id="terms-told")

    def on_mount(self) -> None:
        """Begin with the reason."""
        self.query_one("#terms-lines").border_title = f"Why {shown(self._crate)}, and until when"
        self.query_one("#terms-told", Page).can_focus = False
        self.query_one("#reason", Input).focus()
        self.judge()
        self.show()

    def judge(self) -> None:
        """Look at both lines."""
        reason, day = (self.query_one(f"#{name}", Input).value for name in ("reason", "expires"))
        self._check = check(reason, day, expiry.today())

    def kept(self) -> Terms | None:
        """Return both if they can be kept."""
        return self._check.terms

    def told(self, cells: int) -> Iterator[Line]:
        """Yield what speaks against them, and what they hold for."""
        is_fine = self._check.terms is not None
        lead = ("✓ ", "good") if is_fine else ("✗ ", "bad")
        yield from hanging((lead,), self._check.told, "", cells)
        told = "It holds for everything that Cargo.toml grants this crate."
        yield from hanging((("  ", ""),), told, "muted", cells)
        if self._note and self.query_one("#reason", Input).value.strip():
            yield from hanging((("! ", "waiting"),), self._note, "waiting", cells)
        yield Line()
        if is_fine:
            lead = (f"{key_name(self.app, 'terms.keep')} ", "accent")
            told = f"keeps it. {key_label(self.app, 'terms.next')}: other line."
            yield from hanging((lead,), told, "", cells, target=KEEP)
        lead = (f"{key_name(self.app, 'terms.back')} ", "accent")
        yield from hanging((lead,), "leaves it as it was.", "", cells, target=BACK)
