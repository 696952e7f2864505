"""One line of a sheet: pieces of plain text, each in a tone, never parsed as markup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip

from buildperm.policy.decision import Answer
from buildperm.policy.proposal import Risk
from buildperm.printable import drawable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.style import Style

Piece: TypeAlias = tuple[str, str]
"""Text, and the tone it is set in: a component class of the sheet without its prefix, or none."""

ANSWER_TONES: Final = {
    Answer.UNDECIDED: "muted",
    Answer.ALLOW: "good",
    Answer.DENY: "bad",
    Answer.LATER: "waiting",
}
"""The tone of an answer; its glyph or word says the same without colour."""


def answer_tone(answer: Answer, risk: Risk) -> str:
    """Return the tone of an answer about something: green is what is safe, and nothing else."""
    return "waiting" if answer is Answer.ALLOW and risk >= Risk.HIGH else ANSWER_TONES[answer]


_MEASURED_MOST: Final = 1_000  # Characters: measuring more takes time at each key.
_ELLIPSIS: Final = "…"


@dataclass(frozen=True, slots=True)
class Line:
    """What stands on one line of a sheet."""

    left: tuple[Piece, ...] = ()
    right: tuple[Piece, ...] = ()  # Kept whole at the right edge; the left side gives way.
    target: int | None = None  # What a click on the line is about, as its sheet understands it.

    @property
    def cells(self) -> int:
        """Return the width at which nothing is left out."""
        gap = 1 if self.right else 0
        return sum(cell_len(text) for text, _ in (*self.left, *self.right)) + gap


def middle(text: str, cells: int) -> str:
    """Shorten `text` to `cells` terminal cells by leaving out its middle."""
    # Marks that take no cell may make a text longer than its cells.
    if len(text) <= _MEASURED_MOST and cell_len(text) <= cells:
        return text
    if cells < 3:
        return ""  # Nothing that would mean anything fits.
    tail = text[-cells:]  # No more characters than cells can ever fit.
    while cell_len(tail) > (cells - 1) // 2:
        tail = tail[1:]
    head = _fitting(text, cells - 1 - cell_len(tail))
    return f"{head}{_ELLIPSIS}{tail}" if len(head) + len(tail) < len(text) else text


def wrap(text: str, cells: int) -> Iterator[str]:
    """Yield `text` in lines of at most `cells` cells, broken at spaces where there are any."""
    cells = max(cells, 4)
    while len(text) > cells or cell_len(text) > cells:
        head = _fitting(text, cells)
        if not text[len(head) :].startswith(" "):
            at_space = head.rfind(" ")
            head = head[:at_space] if at_space > cells // 3 else head
        yield head
        text = text[len(head) :].lstrip(" ")
    yield text


def hanging(
    lead: tuple[Piece, ...], text: str, tone: str, cells: int, *, target: int | None = None
) -> Iterator[Line]:
    """Yield `text` wrapped, the first line behind `lead` and the others below its first word."""
    indent = sum(cell_len(piece) for piece, _ in lead)
    for part in wrap(text, cells - indent):
        yield Line((*lead, (part, tone)), target=target)
        lead = ((" " * indent, ""),)


def strip(line: Line, cells: int, base: Style, style_of: Callable[[str], Style]) -> Strip:
    """Render `line` in exactly `cells` cells; its last left piece is shortened if need be."""
    # The last guard: whatever comes this way is only ever text, in signs that the terminal has.
    left = [(drawable(raw), tone) for raw, tone in line.left]
    right = [(drawable(raw), tone) for raw, tone in line.right]
    right_cells = sum(cell_len(text) for text, _ in right)
    room = max(cells - right_cells - (1 if right else 0), 0)
    segments: list[Segment] = []
    used = 0
    for number, (text, tone) in enumerate(left):
        rest = sum(cell_len(later) for later, _ in left[number + 1 :])
        fitted = middle(text, max(room - used - (rest if rest < room // 2 else 0), 0))
        segments.append(Segment(fitted, base + style_of(tone) if tone else base))
        used += cell_len(fitted)
    segments.append(Segment(" " * max(cells - right_cells - used, 0), base))
    segments += [Segment(text, base + style_of(tone) if tone else base) for text, tone in right]
    return Strip(segments).adjust_cell_length(cells, base)


def _fitting(text: str, cells: int) -> str:
    """Return the longest start of `text` that is no wider than `cells`."""
    head = text[:cells]
    while cell_len(head) > cells:
        head = head[:-1]
    return head
