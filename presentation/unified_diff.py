"""Unified diffs of foreign text, printable; knows no terminal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final

from buildperm.presentation.wording import plural
from buildperm.printable import is_visible, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from buildperm.policy.comparison import SourceChange

MOST_LINES: Final = 2_000
"""Lines of one side that are compared, not counting equal ones at both ends."""

WHOLE: Final = 1_000_000
"""For a text that we made ourselves and that must be shown whole."""

MOST_IN_ALL: Final = 10_000
"""Lines of all files together that are shown."""

_MOST_PAIRS: Final = 250_000  # Equal lines, each with each: what the time grows with; about 2 s.
_MOST_PAIRS_IN_ALL: Final = 1_000_000
_MOST_BYTES: Final = 8_000_000
_CONTEXT: Final = 3
_TAB: Final = 4
_UNREADABLE_SHARE: Final = 0.1
_BLANK: Final = "\t\r\n"


@dataclass(frozen=True, slots=True)
class Hunks:
    """A unified diff without the names of the files."""

    lines: tuple[str, ...]  # Printable; the first character is one of `@+- `.
    added: int
    removed: int
    notes: tuple[str, ...] = ()  # What the lines do not show, one sentence each.


@dataclass(frozen=True, slots=True)
class FileDiff:
    """How one source of a build script differs."""

    name: str  # Printable.
    state: str  # "new", "gone" or "changed".
    hunks: Hunks


def compare(before: bytes, after: bytes, most: int = MOST_LINES) -> Hunks:
    """Compare two texts; what is more than `most` lines is cut, and a note says so.

    The lines are compared as they are and made fit to be shown afterwards: two that differ never
    count as the same because they would look the same.
    """
    return _compare(before, after, most, _MOST_PAIRS)[0]


def _compare(before: bytes, after: bytes, most: int, most_pairs: int) -> tuple[Hunks, int]:
    """Compare two texts; also return how many pairs of equal lines were tried."""
    notes = [
        f"Cut after {_MOST_BYTES:,} bytes; there are {len(raw):,}."
        for raw in (before, after)
        if len(raw) > _MOST_BYTES
    ]
    old, new = _lines(before[:_MOST_BYTES]), _lines(after[:_MOST_BYTES])
    old_ends, new_ends = _take_carriage_returns(old), _take_carriage_returns(new)
    if old and new and old_ends != new_ends:
        notes.append(f"Its lines {'no longer end' if old_ends else 'now end'} in CR LF.")
    start, old_end, new_end = _middle(old, new)
    old_middle, new_middle = old[start:old_end], new[start:new_end]
    for name, middle in (("before", old_middle), ("now", new_middle)):
        if len(middle) > most:
            more = plural(len(middle) - most, "more line")
            notes.append(f"Cut after {most:,} lines: {more} {name}.")
            del middle[most:]
    counts, others = Counter(old_middle), Counter(new_middle)
    pairs = sum(count * others[line] for line, count in counts.items())
    if pairs > most_pairs:  # The same few lines over and over: it would take minutes to match them.
        lines = tuple(_replaced(old_middle, new_middle, start))
        pairs = 0
    else:
        lines = tuple(_unified(old_middle, new_middle, start))
    added = sum(line.startswith("+") for line in lines)
    removed = sum(line.startswith("-") for line in lines)
    return Hunks(lines, added, removed, tuple(notes)), pairs


def compare_files(changes: Iterable[SourceChange]) -> Iterator[FileDiff]:
    """Compare the sources of a build script, file by file."""
    left, pairs_left = MOST_IN_ALL, _MOST_PAIRS_IN_ALL
    for change in changes:
        before, after = change.before or b"", change.after or b""
        state = "new" if change.before is None else "gone" if change.after is None else "changed"
        name = shown(change.name)
        if any(_is_binary(change.name, raw) for raw in (before, after)):
            sizes = [f"{len(raw):,} bytes" for raw in (change.before, change.after) if raw]
            hunks = Hunks((), 0, 0, (f"Binary, not shown: {' -> '.join(sizes)}.",))
        elif left <= 0:
            hunks = Hunks((), 0, 0, (f"Not shown: {MOST_IN_ALL:,} lines are enough for a screen.",))
        else:
            hunks, pairs = _compare(before, after, MOST_LINES, min(_MOST_PAIRS, pairs_left))
            left -= len(hunks.lines)
            pairs_left -= pairs
        yield FileDiff(name, state, hunks)


def _lines(raw: bytes) -> list[str]:
    text = raw.decode("utf-8", "surrogateescape")
    return text.removesuffix("\n").split("\n") if text else []


def _take_carriage_returns(lines: list[str]) -> bool:
    """Strip the carriage returns if every line ends in one; return whether it did."""
    if not lines or not all(line.endswith("\r") for line in lines):
        return False
    lines[:] = [line[:-1] for line in lines]
    return True


def _middle(old: Sequence[str], new: Sequence[str]) -> tuple[int, int, int]:
    """Return the range that differs, with some context on both ends."""
    most = min(len(old), len(new))
    start = next((at for at in range(most) if old[at] != new[at]), most)
    end = next((at for at in range(most - start) if old[-1 - at] != new[-1 - at]), most - start)
    end = max(end - _CONTEXT, 0)
    return max(start - _CONTEXT, 0), len(old) - end, len(new) - end


def _unified(old: Sequence[str], new: Sequence[str], start: int) -> Iterator[str]:
    """Yield the hunks; the lines before `start` are the same on both sides."""
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        old_lines = _span(group[0][1], group[-1][2], start)
        new_lines = _span(group[0][3], group[-1][4], start)
        yield f"@@ -{old_lines} +{new_lines} @@"
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                yield from (f" {_fit(line)}" for line in old[old_from:old_to])
            else:
                yield from (f"-{_fit(line)}" for line in old[old_from:old_to])
                yield from (f"+{_fit(line)}" for line in new[new_from:new_to])


def _replaced(old: Sequence[str], new: Sequence[str], start: int) -> Iterator[str]:
    """Yield one hunk that replaces everything."""
    yield f"@@ -{_span(0, len(old), start)} +{_span(0, len(new), start)} @@"
    yield from (f"-{_fit(line)}" for line in old)
    yield from (f"+{_fit(line)}" for line in new)


def _span(first: int, end: int, start: int) -> str:
    """Write the range of a hunk as `diff -u` does."""
    count = end - first
    number = start + first + (1 if count else 0)
    return f"{number}" if count == 1 else f"{number},{count}"


def _fit(line: str) -> str:
    return shown(line.expandtabs(_TAB))


def _is_binary(name: str, raw: bytes) -> bool:
    """Tell whether a file is binary, and so not worth showing; Rust never is."""
    if name.endswith(".rs") or not raw:
        return False
    text = raw[:_MOST_BYTES].decode("utf-8", "surrogateescape")
    letters = Counter(text)
    unreadable = sum(letters[each] for each in letters if not (is_visible(each) or each in _BLANK))
    return unreadable > len(text) * _UNREADABLE_SHARE
