"""What the last look before writing says below the diff: how far it is, and which key goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from buildperm.presentation.closing_text import noted_text, passed_text, written_files
from buildperm.presentation.wording import plural
from buildperm.printable import shown
from buildperm.tui.widgets.styled_line import Line, Piece, hanging

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from buildperm.presentation.front_end import Failure

_MOST_FAILURES: Final = 8

ACTION_TARGETS: Final = ("check", "write", "back", "override")
"""What a click on a line does that names a key, by the target of the line."""

_TARGETS: Final = {does: number for number, does in enumerate(ACTION_TARGETS)}


@dataclass(frozen=True, slots=True)
class CheckState:
    """How far the last look is."""

    stage: str  # See `tui.screens.diff.DiffScreen`.
    unchanged: bool  # Cargo.toml would stay as it is.
    unsaved: tuple[str, ...]  # What buildperm.lock would note as reviewed.
    progress: tuple[int, int, str]  # Done, total, crate.
    failures: tuple[Failure, ...]
    error: str
    notice: str  # About the last key; empty if there is nothing to say.
    keys: Mapping[str, str]  # How keys are printed, by what they do: check, write, back, override.
    is_tried: bool = True  # Whether the check builds; else it only compares with a report.


def state_lines(state: CheckState, cells: int) -> Iterator[Line]:
    """Yield lines about the stage and its result."""
    if state.notice:
        yield from hanging((("! ", "waiting"),), state.notice, "waiting", cells)
    match state.stage:
        case "preview":
            yield Line((("Making the edit …", "muted"),))
        case "ready" if state.unchanged:
            yield Line((("Nothing to write: Cargo.toml says it already.", "strong"),))
        case "ready":
            told = "checks: it runs what is concerned under these grants. "
            if not state.is_tried:
                told = "compares these grants with the report; they are not tried here. "
            told += f"Then {state.keys['write']} writes."
            yield from hanging(_key(state, "check"), told, "", cells, target=_TARGETS["check"])
        case "checking":
            yield from _progress_lines(state, cells)
        case "passed" if state.unchanged:
            told = f"writes: {noted_text(state.unsaved)} Cargo.toml stays as it is."
            yield from hanging(_key(state, "write"), told, "", cells, target=_TARGETS["write"])
        case "passed":
            lead = ("✓ ", "good") if state.is_tried else ("! ", "waiting")
            yield from hanging((lead,), passed_text(is_tried=state.is_tried), "", cells)
            told = f"writes {written_files(is_tried=state.is_tried)}. Nothing else does."
            yield from hanging(_key(state, "write"), told, "", cells, target=_TARGETS["write"])
        case "missing":
            yield from _failure_lines(state, cells)
        case _:
            for text in state.error.split("\n"):
                yield from hanging((("✗ ", "bad"),), shown(text), "", cells)


def _key(state: CheckState, does: str) -> tuple[Piece, ...]:
    return ((f"{state.keys[does]} ", "accent"),)


def _progress_lines(state: CheckState, cells: int) -> Iterator[Line]:
    done, total, crate = state.progress
    width = max(min(cells - 50, 40), 10)
    filled = width * done // total if total else 0
    bar: tuple[Piece, ...] = (("━" * filled, "accent"), ("━" * (width - filled), "muted"))
    told = f"  {done} of {total}  {shown(crate)}" if total else "  starting"
    yield Line((("Checking ", "strong"), *bar, (told, "muted")))


def _failure_lines(state: CheckState, cells: int) -> Iterator[Line]:
    first = state.failures[0]
    who = f"{shown(first.crate)} {shown(first.version)} still fails"
    if len(state.failures) > 1:
        who = f"{len(state.failures)} crates still fail"
    yield Line(((f"✗ {who} with these grants. Nothing is written.", "bad"),))
    for failure in state.failures[:_MOST_FAILURES]:
        lead = ((f"  {shown(failure.crate)} {shown(failure.version)}  ", "strong"),)
        yield from hanging(lead, shown(failure.sentence), "", cells)
    if len(state.failures) > _MOST_FAILURES:
        yield Line(((f"  and {plural(len(state.failures) - _MOST_FAILURES, 'more')}", "muted"),))
    told = "goes back to what is missing."
    yield from hanging(_key(state, "back"), told, "muted", cells, target=_TARGETS["back"])
    told = "writes all the same; it asks for a typed word first."
    yield from hanging(_key(state, "override"), told, "muted", cells, target=_TARGETS["override"])
