"""Statements of a TOML file with their places in its text: for line numbers and for exact edits.

A parser says what a file means; an editor that must not touch a foreign byte also has to know
where each thing stands. `statements` only looks for boundaries and takes the file to be valid:
have a TOML parser read it first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Keys from the root of the file on; the elements of an array have numbers."""

_BLANK = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_REST_OF_LINE = re.compile(r"[^\n]*\n?")
_KEY = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\']*\'|[^\s.=\]"\']+')
_SCALAR = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:""?(?!"))?'  # A string may end in quotation marks of its own.
    r"|'''.*?'''(?:''?(?!'))?"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
    r"|\d{4}-\d\d-\d\d[ ]\d[0-9:.+Zz-]*"
    r"|[^\s,\]}#]+",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One table header or one `key = value`; offsets count characters."""

    path: tuple[str, ...]  # From the root of the file, header included.
    section: tuple[str, ...]  # The header it stands under; its own path for a header.
    is_header: bool
    start: int  # First character of its line, indentation included.
    key: int  # First character of the key, or of the header's bracket.
    value: int  # First character of the value; `end` for a header.
    end: int  # After the value, or after the header's bracket.
    line_end: int  # After the line feed that ends its last line, or the end of the file.


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything in one TOML file stands."""

    text: str
    statements: tuple[Statement, ...]
    places: Mapping[Path, int]  # Where each key and each element of an array begins.
    values: Mapping[Path, tuple[int, int]]  # Where each key's value begins and ends.
    headers: Mapping[tuple[str, ...], Statement]  # The first of each table.
    assignments: Mapping[tuple[str, ...], Statement]
    # Of each table the first statement of all that is in it, and the one after the last.
    spans: Mapping[tuple[str, ...], tuple[int, int]]

    def line(self, path: Path) -> int:
        """Return the line, from 1, of `path` or of the nearest thing around it; 0 if none."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                return self.text.count("\n", 0, self.places[path[:length]]) + 1
        return 0

    def header(self, path: tuple[str, ...]) -> Statement | None:
        """Return the `[header]` of exactly this table."""
        return self.headers.get(path)

    def assignment(self, path: tuple[str, ...]) -> Statement | None:
        """Return the `key = value` of exactly this path."""
        return self.assignments.get(path)

    def container(self, path: tuple[str, ...]) -> Statement | None:
        """Return the `key = {…}` that holds `path`: no other statement can add to what it holds."""
        for depth in range(len(path)):
            found = self.assignment(path[:depth])
            if found is not None:
                return found
        return None

    def below(self, path: tuple[str, ...]) -> list[Statement]:
        """Return the statements of a table and of everything in it, in the file's order."""
        first, after = self.spans.get(path, (0, 0))
        return [found for found in self.statements[first:after] if found.path[: len(path)] == path]


def layout(text: str) -> Layout:
    """Find every statement of the valid TOML document `text`, given without byte order mark."""
    scan = _Scan(text, {}, {})
    statements = tuple(scan.statements())
    headers: dict[tuple[str, ...], Statement] = {}
    assignments: dict[tuple[str, ...], Statement] = {}
    spans: dict[tuple[str, ...], tuple[int, int]] = {}
    for number, statement in enumerate(statements):
        (headers if statement.is_header else assignments).setdefault(statement.path, statement)
        for depth in range(len(statement.path) + 1):
            path = statement.path[:depth]
            first, _ = spans.get(path, (number, 0))
            spans[path] = first, number + 1
    return Layout(
        text,
        statements,
        MappingProxyType(scan.places),
        MappingProxyType(scan.values),
        MappingProxyType(headers),
        MappingProxyType(assignments),
        MappingProxyType(spans),
    )


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    if match is None:
        raise ValueError(f"not TOML at character {at}")
    return match.end()


def _keys(text: str, at: int) -> tuple[tuple[str, ...], int]:
    """Read a dotted key; return its parts and the offset of what follows it."""
    parts: list[str] = []
    while True:
        at = _skip(_BLANK, text, at)
        end = _skip(_KEY, text, at)
        parts.append(_unquoted(text[at:end]))
        at = _skip(_BLANK, text, end)
        if text[at : at + 1] != ".":
            return tuple(parts), at
        at += 1


def _unquoted(key: str) -> str:
    if key[0] == '"' and "\\" in key:
        import tomlkit  # Only now: hardly anybody writes such a key.

        return str(next(iter(tomlkit.parse(f"{key} = 0"))))
    return key[1:-1] if key[0] in "\"'" else key


@dataclass(frozen=True, slots=True)
class _Scan:
    text: str
    places: dict[Path, int]
    values: dict[Path, tuple[int, int]]

    def statements(self) -> Iterator[Statement]:
        text = self.text
        section: tuple[str, ...] = ()
        at = _skip(_GAP, text, 0)
        while at < len(text):
            start = text.rfind("\n", 0, at) + 1
            is_header = text[at] == "["
            if is_header:
                opening = 2 if text.startswith("[[", at) else 1
                section, end = _keys(text, at + opening)
                path, value, end = section, end + opening, end + opening
                self.note((), section, at)
            else:
                keys, equals = _keys(text, at)
                path = section + keys
                self.note(section, keys, at)
                value = _skip(_BLANK, text, equals + 1)
                end = self.value(value, path)
            line_end = _skip(_REST_OF_LINE, text, end)
            yield Statement(path, section, is_header, start, at, value, end, line_end)
            at = _skip(_GAP, text, line_end)

    def note(self, above: Path, keys: tuple[str, ...], at: int) -> None:
        """Remember where a dotted key stands, for each of its parts that is new."""
        for length in range(1, len(keys) + 1):
            self.places.setdefault((*above, *keys[:length]), at)

    def value(self, at: int, path: Path) -> int:
        """Remember where the value at `at` and its parts stand; return the offset after it."""
        start = at
        composed = self.text[at] in "[{"
        at = self.parts(at, path) if composed else _skip(_SCALAR, self.text, at)
        self.values.setdefault(path, (start, at))
        return at

    def parts(self, at: int, path: Path) -> int:
        text = self.text
        is_list = text[at] == "["
        index = 0
        at = _skip(_GAP, text, at + 1)
        while text[at] not in "]}":
            inner: Path = (*path, index)
            if is_list:
                self.places[inner] = at
            else:
                keys, equals = _keys(text, at)
                self.note(path, keys, at)
                inner, at = (*path, *keys), _skip(_GAP, text, equals + 1)
            at = _skip(_GAP, text, self.value(at, inner))
            if text[at] == ",":
                at = _skip(_GAP, text, at + 1)
            index += 1
        return at + 1
