"""Where tables go in the text of Cargo.toml, and how lines are put there and taken away."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property

from buildperm.policy.toml_statement import Layout


class TablePlaces:
    """Where the tables of new crates go in one file."""

    def __init__(self, found: Layout, home: tuple[str, ...]) -> None:
        self._found = found
        self._home = home
        depth, crates = len(home) + 1, (*home, "crates")
        # The headers that come after all before them: whatever is placed goes above one of these.
        self._after: list[tuple[str, ...]] = []
        self._starts: list[int] = []
        for statement in found.below(home):
            other = statement.path[: depth + 1]
            is_later = not self._after or other > self._after[-1]
            if statement.is_header and other[:depth] == crates and is_later:
                self._after.append(other)
                self._starts.append(statement.start)

    def of(self, crate: tuple[str, ...]) -> int:
        """Return the place for a crate: by name among the others, else at the end."""
        number = bisect_right(self._after, crate)
        if number < len(self._after):
            return above(self._found.text, self._starts[number])
        return self._end

    @cached_property
    def _end(self) -> int:
        """The place behind all the others."""
        text, statements = self._found.text, self._found.statements
        _, after = self._found.spans.get(self._home, (0, 0))
        if not after:
            return len(text)
        last = after - 1
        for following in statements[after:]:
            if following.is_header:
                break
            last += 1
        at = statements[last].line_end
        end = at
        while text[end:].lstrip(" \t").startswith("#"):
            line_feed = text.find("\n", end)
            end = len(text) if line_feed < 0 else line_feed + 1
        touches_next = text[end:].lstrip(" \t").startswith("[")
        return at if touches_next else end


def above(text: str, start: int) -> int:
    """Return where the comment lines begin that stand directly above the line at `start`."""
    while start:
        line = text.rfind("\n", 0, start - 1) + 1
        if not text[line:start].lstrip(" \t").startswith("#"):
            break
        start = line
    return start


def cut(text: str, start: int, end: int) -> str:
    """Remove whole lines, and one of two blank lines that would then meet."""
    head, tail = text[:start], text[end:]
    if not tail and not text.endswith("\n"):  # The file goes on ending without a line feed.
        return head.rstrip("\r\n")
    blank = not tail or tail.startswith(("\n", "\r\n"))
    for line_feed in ("\r\n", "\n"):
        if blank and head.endswith(f"\n{line_feed}"):
            return head[: -len(line_feed)] + tail
    return head + tail


def newline_of(text: str) -> str:
    """Return what ends most lines of this file."""
    return "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"


def indent_of(line: str) -> str:
    """Return the white space that a line begins with."""
    return line[: len(line) - len(line.lstrip(" \t"))]


def placed(text: str, at: int, lines: Sequence[str], newline: str) -> str:
    """Insert a table at a place, with a blank line around it."""
    head, tail = text[:at], text[at:]
    end = newline * 2
    if not tail:  # A file without a last line feed does not get one.
        end = newline if not head or head.endswith("\n") else ""
    elif head and not head.endswith("\n"):  # The tail is a table that was put there just now.
        end = ""
    elif tail.startswith(("\n", "\r\n")):
        end = newline
    if head and not head.endswith("\n"):
        head += newline
    if head and not head.endswith(("\n\n", "\n\r\n")):
        head += newline
    return head + newline.join(lines) + end + tail
