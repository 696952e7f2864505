"""The question before something critical is allowed: it takes the name of the crate."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from buildperm.policy.proposal import Risk
from buildperm.presentation.wording import GLYPHS, version_text
from buildperm.printable import shown
from buildperm.tui.key_bindings import bindings
from buildperm.tui.key_names import key_name
from buildperm.tui.screens.typed_word import TypedWordScreen
from buildperm.tui.widgets.styled_line import Line, hanging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.binding import BindingType

    from buildperm.policy.proposal import Choice, Proposal
    from buildperm.tui.key_pace import KeyPace

_MOST: Final = 8  # Rules that are listed.


class CriticalScreen(TypedWordScreen):
    """Says what would be allowed, and why that is critical; dismisses with whether to do it."""

    NAME = "critical"
    OTHERWISE = "Nothing is allowed"
    BINDINGS: ClassVar[list[BindingType]] = bindings("critical")

    def __init__(self, proposal: Proposal, choice: Choice, pace: KeyPace) -> None:
        """Ask.

        Args:
            proposal: What would be allowed.
            choice: The rules by which it would be.
            pace: When keys were pressed.
        """
        super().__init__(shown(proposal.crate), "Critical", pace)
        self._proposal = proposal
        self._choice = choice

    def lines(self, cells: int) -> Iterator[Line]:
        """Yield what it is, what it would be allowed by, and what to type."""
        proposal, rules = self._proposal, self._choice.rules
        lead = ((f"{self._word} {version_text(proposal.version)}  ", "strong"),)
        yield from hanging(lead, shown(proposal.title), "title", cells)
        for note in proposal.notes:
            glyph = (f"{GLYPHS[Risk.CRITICAL]} ", "critical")
            yield from hanging((glyph,), shown(note), "", cells)
        yield Line()
        yield from hanging((), f"It would be allowed by: {shown(self._choice.title)}", "", cells)
        for rule in rules[:_MOST]:
            kind = (f"  {rule.kind.value} ", "muted")
            yield from hanging((kind,), shown(rule.pattern), "", cells)
        if len(rules) > _MOST:
            yield Line(((f"  and {len(rules) - _MOST} more", "muted"),))
        if self._choice.widening:
            yield from hanging((("+ ", "waiting"),), shown(self._choice.widening), "muted", cells)
        yield Line()
        yield from hanging((), f"To allow it, type {self._word} and Enter.", "strong", cells)
        lead = ((f"{key_name(self.app, 'critical.back')} ", "accent"),)
        yield from hanging(lead, "goes back; nothing is allowed.", "", cells, target=0)
