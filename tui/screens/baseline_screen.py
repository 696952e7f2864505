"""What a crate did that every build script may do: the accesses behind a count."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, ClassVar, Final

from buildperm.policy.access import Access, Outcome
from buildperm.presentation.wording import TIMES, plural, verb, version_text
from buildperm.printable import shown
from buildperm.tui.key_bindings import bindings
from buildperm.tui.screens.telling_screen import TellingScreen
from buildperm.tui.widgets.block_sheet import Block, BlockSheet
from buildperm.tui.widgets.hint_footer import HintFooter
from buildperm.tui.widgets.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from buildperm.policy.kinds import Kind
    from buildperm.presentation.baseline_accesses import BaselineAccesses, CrateVersion

_SHOWN_ACCESSES: Final = 20_000


class BaselineScreen(TellingScreen[None]):
    """Lists the accesses of one crate that need no decision, and counts those of the others."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("baseline")

    def __init__(self, accesses: BaselineAccesses, crate: CrateVersion | None) -> None:
        super().__init__()
        self._accesses = accesses
        self._crate = crate  # None where no crate asks for anything.

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        yield BlockSheet(id="baseline")
        yield Notice()
        yield HintFooter()

    def on_mount(self) -> None:
        """List."""
        sheet = self.query_one(BlockSheet)
        sheet.show(self._blocks())
        sheet.focus()

    def action_back(self) -> None:
        """Go back."""
        self.dismiss(None)

    def action_scroll(self, by: int) -> None:
        """Scroll by lines."""
        self.query_one(BlockSheet).move_view(by)

    def _blocks(self) -> Iterator[Block]:
        yield Block((), "What every build script may do", "title")
        yield Block(
            (),
            "Reading its own package, the toolchain and the system's libraries, writing to its own "
            "output folder, running rustc and Cargo. It needs no grant and no decision.",
            "muted",
        )
        if self._crate is not None:
            yield Block()
            yield from _crate_blocks(self._crate, self._accesses.of(self._crate))
        others = [each for each in self._accesses.crates if each != self._crate]
        if others:
            yield Block()
            yield Block(
                (), "Other crates that ran" if self._crate else "Crates that ran", "heading"
            )
        for crate in others:
            count = self._accesses.count(crate)
            told = "" if count is None else plural(count, "access", "accesses")
            yield Block(((f"  {_named(crate)}  ", "strong"),), told, "muted")


def _crate_blocks(crate: CrateVersion, accesses: Sequence[Access]) -> Iterator[Block]:
    told = plural(len(accesses), "access", "accesses")
    yield Block(((f"{_named(crate)}  ", "strong"),), told, "muted")
    for (failed, kind), found in groupby(accesses[:_SHOWN_ACCESSES], key=_heading):
        listed = list(found)
        outcome = ", looked for and not there" if failed else ""
        yield Block()
        yield Block(((verb(kind), "heading"),), f"{outcome}  {len(listed):,}", "muted")
        for access in listed:
            yield Block(((f"  {access.count:>5,}{TIMES}  ", "muted"),), shown(access.target))
    if len(accesses) > _SHOWN_ACCESSES:
        yield Block((), f"… and {len(accesses) - _SHOWN_ACCESSES:,} more", "muted")


def _heading(access: Access) -> tuple[bool, Kind]:
    return access.outcome is Outcome.FAILED, access.kind


def _named(crate: CrateVersion) -> str:
    return f"{shown(crate[0])} {version_text(crate[1])}"
