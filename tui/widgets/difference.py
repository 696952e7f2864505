"""What writing would change in Cargo.toml: the unified diff, and the same in plain words."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from buildperm.tui.widgets.line import Line, Piece, hanging, wrap
from buildperm.tui.wording import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TONES = {"+": "added", "-": "removed", "@": "hunk"}


def diff_lines(before: bytes, after: bytes, cells: int) -> Iterator[Line]:
    """Yield the unified diff, long lines wrapped."""
    hunks = difflib.unified_diff(_lines(before), _lines(after), lineterm="")
    for number, text in enumerate(hunks):
        if number < 2:  # The names of the files: there is one.
            continue
        mark = text[0]
        if mark == "@":
            yield Line(((text, "hunk"),))
            continue
        lead: tuple[Piece, ...] = ((f"{mark} ", _TONES.get(mark, "muted")),)
        yield from hanging(lead, text[1:], _TONES.get(mark, "muted"), cells)


def added_and_removed(before: bytes, after: bytes) -> tuple[int, int]:
    """Return how many lines the diff adds and removes."""
    hunks = list(difflib.unified_diff(_lines(before), _lines(after), lineterm=""))[2:]
    return (
        sum(text.startswith("+") for text in hunks),
        sum(text.startswith("-") for text in hunks),
    )


def sentence_lines(sentences: Sequence[str], cells: int) -> Iterator[Line]:
    """Yield sentences that begin with `+` or `-`."""
    for sentence in sentences:
        mark, text = sentence[:1], sentence[2:]
        yield from hanging(((f"{mark} ", _TONES.get(mark, "muted")),), text, "", cells)
    if not sentences:
        for part in wrap("No grant and no denial changes.", cells):
            yield Line(((part, "muted"),))


def _lines(manifest: bytes) -> list[str]:
    """Return the lines as they can be shown, without their ends."""
    text = manifest.decode("utf-8", "surrogateescape")
    lines = text.removesuffix("\n").split("\n")
    return [shown(line.removesuffix("\r").expandtabs(4)) for line in lines]
