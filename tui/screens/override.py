"""The question before grants are written under which something fails: it takes a typed word."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from buildperm.presentation.closing_text import OVERRIDE
from buildperm.printable import shown
from buildperm.tui.key_bindings import bindings
from buildperm.tui.key_names import key_name
from buildperm.tui.screens.typed_word import TypedWordScreen
from buildperm.tui.widgets.styled_line import Line, hanging

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual.binding import BindingType

    from buildperm.presentation.front_end import Failure
    from buildperm.tui.key_pace import KeyPace

_MOST: Final = 8  # Failures that are listed.


class OverrideScreen(TypedWordScreen):
    """Lists what fails; dismisses with whether to write all the same."""

    NAME = "override"
    OTHERWISE = "Nothing is written"
    BINDINGS: ClassVar[list[BindingType]] = bindings("override")

    def __init__(self, failures: Sequence[Failure], pace: KeyPace) -> None:
        super().__init__(OVERRIDE, "The check failed", pace)
        self._failures = failures

    def lines(self, cells: int) -> Iterator[Line]:
        """Yield what fails, and what to type."""
        for failure in self._failures[:_MOST]:
            lead = ((f"{shown(failure.crate)} {shown(failure.version)}  ", "strong"),)
            yield from hanging(lead, shown(failure.sentence), "", cells)
        if len(self._failures) > _MOST:
            yield Line(((f"and {len(self._failures) - _MOST} more", "muted"),))
        yield Line()
        text = (
            f"Written like this, `buildperm ci` fails, too. To write all the same, type {OVERRIDE} "
            "and Enter."
        )
        yield from hanging((), text, "", cells)
        lead = ((f"{key_name(self.app, 'override.back')} ", "accent"),)
        yield from hanging(lead, "goes back; nothing is written.", "", cells, target=0)
