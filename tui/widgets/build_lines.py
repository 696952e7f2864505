"""A running build on a sheet: how far it is, the worst yet, and script by script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from buildperm.policy.proposal import Risk
from buildperm.presentation.build_viewer import refusal_text
from buildperm.presentation.wording import GLYPHS, plural, risk_word
from buildperm.printable import shown
from buildperm.tui.widgets.styled_line import Line, Piece, hanging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildperm.presentation.build_tally import BuildState, EndedScript

_MOST_ENDED: Final = 200  # Lines that are drawn anew at each look.
_MOST_WAITING: Final = 40  # Names.
_BAR_CELLS: Final = 40


def script_lines(state: BuildState, now_s: float, cells: int) -> Iterator[Line]:
    """Yield where a build is.

    Args:
        state: The build.
        now_s: On the clock of its tally.
        cells: The width.
    """
    yield Line()
    yield from _progress(state)
    yield Line(tuple(_bar(state)))
    yield Line()
    yield from _worst(state, cells)
    if state.running:
        yield Line()
        yield Line((("Running", "heading"),))
        for script in state.running:
            name = f"{shown(script.crate)} {shown(script.version)}"
            yield Line(
                ((f"    {name}", "strong"),), ((f"{now_s - script.since_s:.0f} s ", "muted"),)
            )
    if state.ended:
        yield Line()
        yield Line((("Done", "heading"), ("  the latest first", "muted")))
        for ended in reversed(state.ended[-_MOST_ENDED:]):
            yield from _ended(ended, cells)
        if len(state.ended) > _MOST_ENDED:
            yield Line(((f"    and {len(state.ended) - _MOST_ENDED} before", "muted"),))
    if state.waiting:
        yield Line()
        yield Line((("Waiting, or unchanged", "heading"),))
        names = [shown(crate) for crate, _ in state.waiting[:_MOST_WAITING]]
        more = len(state.waiting) - len(names)
        told = ", ".join(names) + (f" and {more} more" if more else "")
        yield from hanging((("    ", ""),), told, "muted", cells)


def _progress(state: BuildState) -> Iterator[Line]:
    """Say how far it is; there may be no build script at all."""
    details = []
    if not state.is_begun:
        told = "Making ready: this machine is tried out, and Cargo is asked what there is."
    elif not state.scripts:
        told = "No build script to run."
    else:
        told = f"{len(state.ended)} of {plural(state.scripts, 'build script')} recorded"
        details += [f"{len(state.running)} running", f"{len(state.waiting)} waiting or unchanged"]
    if state.crates:
        details.append(f"{plural(state.crates, 'crate')} begun")
    yield Line(((told, "strong"),))
    yield Line(((", ".join(details), "muted"),))


def _bar(state: BuildState) -> Iterator[Piece]:
    filled = _BAR_CELLS * len(state.ended) // max(state.scripts, 1)
    yield "━" * filled, "accent"
    yield "━" * (_BAR_CELLS - filled), "muted"


def _worst(state: BuildState, cells: int) -> Iterator[Line]:
    yield Line((("Most alarming so far", "heading"),))
    proposal = state.worst.worst if state.worst is not None else None
    if proposal is None:
        text = "Nothing out of the ordinary." if state.ended else "Nothing yet."
        yield Line(((f"    {text}", "muted"),))
        return
    word = risk_word(proposal.risk)
    lead: tuple[Piece, ...] = (
        (f" {GLYPHS[proposal.risk]:>2} ", ""),
        (word, word),
        (f"  {shown(proposal.who)}  ", "strong"),
    )
    yield from hanging(lead, shown(proposal.title), "", cells)
    for note in proposal.notes[:1]:
        yield from hanging((("    ", ""),), shown(note), "muted", cells)


def _ended(ended: EndedScript, cells: int) -> Iterator[Line]:
    worst = ended.worst
    lead: Piece = ("    ", "")
    told: Piece = ("nothing to decide", "muted")
    if worst is not None:
        word = risk_word(worst.risk)
        lead = (f" {GLYPHS[worst.risk]:>2} ", word)
        tone = "bad" if worst.risk >= Risk.HIGH else ""
        told = (f"{len(ended.proposals)} to decide, {word}: {shown(worst.title)}", tone)
    name = f"{shown(ended.crate)} {shown(ended.version)}  "
    time: Piece = (f"{ended.duration_s:.1f} s ", "muted")
    yield Line((lead, (name, "strong"), told), (time,))
    if ended.failed:
        text = refusal_text(ended).partition("; ")[2]
        what = f"failed; {text}" if text else "failed"
        yield from hanging((("      ", ""),), what, "bad", cells)
