"""The text of one crate's table in Cargo.toml, however it is written: added, changed, removed.

TOML has many ways to write the same table: a `[header]`, dotted keys, an inline table, and any
mixture. A field that exists is changed where it stands; a new one follows the way its neighbours
are written. Nothing here judges what the table says.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import tomlkit

from buildperm.policy import string_list
from buildperm.policy.grants import FORMAT
from buildperm.policy.kinds import GRANTABLE
from buildperm.policy.manifest_reader import dotted
from buildperm.policy.toml_statement import Layout, Statement, layout

if TYPE_CHECKING:
    from tomlkit.items import Item

Field: TypeAlias = tuple[str, ...]
"""A key of a crate's table: `("exec",)`, `("deny", "exec")`."""

Value: TypeAlias = str | list[str]

_ORDER = ("reviewed", "presets", *GRANTABLE, "deny", "for", "compile", "reason", "expires")


def added(text: str, crate: tuple[str, ...], said: Mapping[Field, Value]) -> str:
    """Write a table for a crate that has none, beside the tables of other crates.

    Args:
        text: The whole file, which is valid.
        crate: The path of the crate's table; the last but one part is `crates`.
        said: What the table says.
    """
    found = layout(text)
    container = found.container(crate)
    if container is not None:
        return _inline(found, container, crate, _nested(said))
    newline = _newline(text)
    lines = new(crate, said, newline, is_first=not found.below(crate[:-2]))
    return _placed(text, _place(found, crate), lines, newline)


def new(
    crate: tuple[str, ...], said: Mapping[Field, Value], newline: str, *, is_first: bool
) -> list[str]:
    """Write a table of its own; `is_first` where there is no grant table yet."""
    lines = [f"[{dotted(crate)}]", *_assignments(said, newline)]
    if is_first:
        lines = [f"[{dotted(crate[:-2])}]", f"version = {FORMAT}", "", *lines]
    return lines


def all_added(
    text: str, tables: Mapping[tuple[str, ...], Mapping[Field, Value]], home: tuple[str, ...]
) -> str:
    """Write tables for crates that have none, as `added` does for each, and all at once.

    Args:
        text: The whole file, which is valid.
        tables: What each table says, by its path.
        home: The path of the grant table.
    """
    left = sorted(tables)
    found = layout(text)
    while left and (not found.below(home) or found.container(left[0])):
        text = added(text, left[0], tables[left[0]])
        left, found = left[1:], layout(text)
    newline, places = _newline(text), _Places(found, home)
    # From below, so that what is above stays where it is.
    for crate in reversed(left):
        lines = [f"[{dotted(crate)}]", *_assignments(tables[crate], newline)]
        text = _placed(text, places.of(crate), lines, newline)
    return text


def _placed(text: str, at: int, lines: Sequence[str], newline: str) -> str:
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


def changed(
    text: str, crate: tuple[str, ...], old: Mapping[Field, Value], new: Mapping[Field, Value]
) -> str:
    """Change the fields of an existing table that differ."""
    for field in sorted({*old, *new}, key=_rank):
        if old.get(field) != new.get(field):
            text = _with_field(text, crate, field, new.get(field))
    return text


def all_changed(
    text: str,
    tables: Mapping[tuple[str, ...], tuple[Mapping[Field, Value], Mapping[Field, Value]]],
) -> str:
    """Change existing tables, as `changed` does for each, and all at once.

    Args:
        text: The whole file, which is valid.
        tables: What each table says and is to say, by its path.
    """
    found, newline = layout(text), _newline(text)
    spans = {crate: _own_span(found, crate) for crate in tables}
    # From below, so that what is above stays where it is.
    for crate, span in sorted(spans.items(), key=lambda each: each[1] or (0, 0), reverse=True):
        if span is None:
            text = changed(text, crate, *tables[crate])
            continue
        start, end = span
        table = text[start:end]
        if _newline(table) == newline:
            text = text[:start] + changed(table, crate, *tables[crate]) + text[end:]
        else:
            text = changed(text, crate, *tables[crate])
    return text


def _own_span(found: Layout, crate: tuple[str, ...]) -> tuple[int, int] | None:
    """Return where the lines of a table are that can be edited by themselves; None if mixed.

    They begin with its header, and end with the blank lines and comments below it.
    """
    first, after = found.spans.get(crate, (0, 0))
    inside = found.statements[first:after]
    if not inside or found.header(crate) is not inside[0]:
        return None
    if any(each.section[: len(crate)] != crate for each in inside):
        return None
    end = len(found.text)
    if after < len(found.statements):
        end = found.statements[after].start
        if end == inside[-1].line_end:
            return None
    return inside[0].start, end


def removed(text: str, crate: tuple[str, ...]) -> str:
    """Remove a crate's table and the comments inside it; comments above and below it stay."""
    return all_removed(text, [crate])


def all_removed(text: str, crates: Sequence[tuple[str, ...]]) -> str:
    """Remove the tables of several crates, as `removed` does for each, and all at once."""
    found = layout(text)
    inline = next((each for each in crates if found.container(each) is not None), None)
    if inline is not None:
        container = found.container(inline)
        assert container is not None
        text = _inline(found, container, inline, None)
        return all_removed(text, [each for each in crates if each != inline])
    spans = [span for crate in crates for span in _spans(found, crate)]
    for start, end in sorted(spans, reverse=True):
        text = _cut(text, start, end)
    return text


def _spans(found: Layout, crate: tuple[str, ...]) -> list[tuple[int, int]]:
    """Return where the lines of a table are, with the comments between them."""
    spans: list[tuple[int, int]] = []
    for statement in found.below(crate):
        if spans and not statement.is_header and statement.section[: len(crate)] == crate:
            spans[-1] = (spans[-1][0], statement.line_end)
        else:
            spans.append((statement.start, statement.line_end))
    return spans


def _with_field(text: str, crate: tuple[str, ...], field: Field, value: Value | None) -> str:
    found = layout(text)
    path = crate + field
    container = found.container(path)
    if path in found.values and value is not None:
        return _replaced(found, path, value)
    if value is None and path[:-1] in found.values and len(_keys(found, path[:-1])) == 1:
        path = path[:-1]  # The last of an inline `deny` goes with it.
        container = found.container(path)
    if container is not None:
        return _inline(found, container, path, value)
    statement = found.assignment(path)
    if statement is not None:
        return _without(found, statement, crate)
    if value is None:
        return text
    if field[0] == "deny" and not found.below(crate + field[:1]):
        assert isinstance(value, list)
        return _inserted(found, crate, field[:1], {field[1]: value})
    return _inserted(found, path[:-1], field, value)


def _replaced(found: Layout, path: tuple[str, ...], value: Value) -> str:
    """Replace a value."""
    text = found.text
    start, end = found.values[path]
    if isinstance(value, str):
        return text[:start] + string_list.literal(value) + text[end:]
    line = text.rfind("\n", 0, start) + 1
    new = string_list.rewritten(
        text[start:end],
        value,
        before=0 if found.container(path) else start - line,
        newline=_newline(text),
        indent=_indent(text[line:start]),
    )
    return text[:start] + new + text[end:]


def _without(found: Layout, statement: Statement, crate: tuple[str, ...]) -> str:
    """Remove one field, and the `[….deny]` header that it was the last of."""
    text = _cut(found.text, statement.start, statement.line_end)
    deny = (*crate, "deny")
    left = layout(text)
    header = left.header(deny)
    if header is not None and left.below(deny) == [header]:
        text = _cut(text, header.start, header.line_end)
    return text


def _inserted(
    found: Layout, table: tuple[str, ...], field: Field, value: Value | dict[str, list[str]]
) -> str:
    """Write a new field of `table` in the way the table's other fields are written."""
    text, newline = found.text, _newline(found.text)
    members = [each for each in found.below(table) if not each.is_header]
    header = found.header(table)
    if header is None:
        members = [each for each in members if len(each.section) < len(table)]
        if not members:  # Only `[….deny]` says that the table exists.
            start = _above(text, found.below(table)[0].start)
            lines = [f"[{dotted(table)}]", *_assignments({field: value}, newline), "", ""]
            return text[:start] + newline.join(lines) + text[start:]
    section = table if header is not None else members[0].section
    members = [each for each in members if each.section == section]
    neighbour = members[0] if members else header
    assert neighbour is not None
    indent = _indent(text[neighbour.start : neighbour.key])
    path = (*table, field[-1])
    key = dotted(path[len(section) :])
    line = f"{indent}{key} = {_rendered(value, len(indent) + len(key) + 3, newline, indent)}"
    depth = len(path) - len(field)
    earlier = [each for each in members if _rank(each.path[depth:]) < _rank(field)]
    if earlier:
        at = earlier[-1].line_end
    else:
        at = header.line_end if header is not None else neighbour.start
    if at and not text[:at].endswith("\n"):
        return text[:at] + newline + line + text[at:]
    return text[:at] + line + newline + text[at:]


def _inline(
    found: Layout, container: Statement, path: tuple[str, ...], value: Value | dict[str, Any] | None
) -> str:
    """Set or remove (None) something within the inline table that `container` assigns."""
    document = tomlkit.parse(found.text[container.key : container.end])
    table: Any = document
    for depth in range(len(container.section), len(path) - 1):
        key = path[depth]
        if key not in table:
            table[key] = tomlkit.inline_table()
            if depth == 2:  # The grant table itself.
                table[key]["version"] = FORMAT
        table = table[key]
    if value is None:
        del table[path[-1]]
    else:
        table[path[-1]] = _item(value)
    edited = tomlkit.dumps(document).rstrip("\r\n")
    return found.text[: container.key] + edited + found.text[container.end :]


def _keys(found: Layout, table: tuple[str, ...]) -> set[str | int]:
    """Return the keys of a table that is written inline."""
    depth = len(table)
    return {place[depth] for place in found.places if place[:depth] == table and place[depth:]}


def _item(value: Value | dict[str, Any]) -> Item:
    if not isinstance(value, dict):
        # Not `tomlkit.item`: that leaves what changes a line's direction as it is.
        if isinstance(value, str):
            return tomlkit.value(string_list.literal(value))
        return tomlkit.value(f"[{', '.join(map(string_list.literal, value))}]")
    table = tomlkit.inline_table()
    for key, inner in value.items():
        table[key] = _item(inner)
    return table


def _nested(said: Mapping[Field, Value]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for field in sorted(said, key=_rank):
        table = nested
        for key in field[:-1]:
            table = table.setdefault(key, {})
        table[field[-1]] = said[field]
    return nested


def _assignments(said: Mapping[Field, Any], newline: str) -> list[str]:
    """Write fields as the lines below a `[header]`."""
    lines: list[str] = []
    for key, value in _nested(said).items():
        text = f"{key} = {_rendered(value, len(key) + 3, newline, '')}"
        if isinstance(value, dict) and len(text) > string_list.WIDTH:
            for kind, patterns in value.items():
                name = f"{key}.{kind}"
                lines.append(f"{name} = {_rendered(patterns, len(name) + 3, newline, '')}")
        else:
            lines.append(text)
    return lines


def _rendered(value: Value | dict[str, list[str]], before: int, newline: str, indent: str) -> str:
    if isinstance(value, str):
        return string_list.literal(value)
    if isinstance(value, dict):
        inner = [f"{key} = [{', '.join(map(string_list.literal, value[key]))}]" for key in value]
        return f"{{ {', '.join(inner)} }}"
    return string_list.written(value, before=before, newline=newline, indent=indent)


def _rank(field: Sequence[str]) -> tuple[int, ...]:
    """Order fields as they are written; what is unknown comes last."""
    places = [_ORDER.index(key) if key in _ORDER else len(_ORDER) for key in field]
    return tuple(places)


def _place(found: Layout, crate: tuple[str, ...]) -> int:
    """Find where a new crate's table goes: by name among the others, else at the end."""
    return _Places(found, crate[:-2]).of(crate)


class _Places:
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
            return _above(self._found.text, self._starts[number])
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


def _above(text: str, start: int) -> int:
    """Return where the comment lines begin that stand directly above the line at `start`."""
    while start:
        line = text.rfind("\n", 0, start - 1) + 1
        if not text[line:start].lstrip(" \t").startswith("#"):
            break
        start = line
    return start


def _cut(text: str, start: int, end: int) -> str:
    """Remove whole lines, and one of two blank lines that would then meet."""
    head, tail = text[:start], text[end:]
    if not tail and not text.endswith("\n"):  # The file goes on ending without a line feed.
        return head.rstrip("\r\n")
    blank = not tail or tail.startswith(("\n", "\r\n"))
    for line_feed in ("\r\n", "\n"):
        if blank and head.endswith(f"\n{line_feed}"):
            return head[: -len(line_feed)] + tail
    return head + tail


def _newline(text: str) -> str:
    """Return what ends most lines of this file."""
    return "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]
