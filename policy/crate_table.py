"""The text of one crate's table in Cargo.toml, however it is written: added, changed, removed.

TOML has many ways to write the same table: a `[header]`, dotted keys, an inline table, and any
mixture. A field that exists is changed where it stands; a new one follows the way its neighbours
are written. Nothing here judges what the table says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tomlkit

from buildperm.policy import string_list
from buildperm.policy.field_text import Field, Value, assignments, item, nested, rank, rendered
from buildperm.policy.grants import FORMAT
from buildperm.policy.manifest_reader import dotted
from buildperm.policy.table_places import TablePlaces, above, cut, indent_of, newline_of, placed
from buildperm.policy.toml_statement import Layout, Statement, layout


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
        return _inline(found, container, crate, nested(said))
    newline = newline_of(text)
    lines = new(crate, said, newline, is_first=not found.below(crate[:-2]))
    return placed(text, TablePlaces(found, crate[:-2]).of(crate), lines, newline)


def new(
    crate: tuple[str, ...], said: Mapping[Field, Value], newline: str, *, is_first: bool
) -> list[str]:
    """Write a table of its own; `is_first` where there is no grant table yet."""
    lines = [f"[{dotted(crate)}]", *assignments(said, newline)]
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
    newline, places = newline_of(text), TablePlaces(found, home)
    # From below, so that what is above stays where it is.
    for crate in reversed(left):
        lines = [f"[{dotted(crate)}]", *assignments(tables[crate], newline)]
        text = placed(text, places.of(crate), lines, newline)
    return text


def changed(
    text: str, crate: tuple[str, ...], old: Mapping[Field, Value], new: Mapping[Field, Value]
) -> str:
    """Change the fields of an existing table that differ."""
    for field in sorted({*old, *new}, key=rank):
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
    found, newline = layout(text), newline_of(text)
    spans = {crate: _own_span(found, crate) for crate in tables}
    # From below, so that what is above stays where it is.
    for crate, span in sorted(spans.items(), key=lambda each: each[1] or (0, 0), reverse=True):
        if span is None:
            text = changed(text, crate, *tables[crate])
            continue
        start, end = span
        table = text[start:end]
        if newline_of(table) == newline:
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
        text = cut(text, start, end)
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
        newline=newline_of(text),
        indent=indent_of(text[line:start]),
    )
    return text[:start] + new + text[end:]


def _without(found: Layout, statement: Statement, crate: tuple[str, ...]) -> str:
    """Remove one field, and the `[….deny]` header that it was the last of."""
    text = cut(found.text, statement.start, statement.line_end)
    deny = (*crate, "deny")
    left = layout(text)
    header = left.header(deny)
    if header is not None and left.below(deny) == [header]:
        text = cut(text, header.start, header.line_end)
    return text


def _inserted(
    found: Layout, table: tuple[str, ...], field: Field, value: Value | dict[str, list[str]]
) -> str:
    """Write a new field of `table` in the way the table's other fields are written."""
    text, newline = found.text, newline_of(found.text)
    members = [each for each in found.below(table) if not each.is_header]
    header = found.header(table)
    if header is None:
        members = [each for each in members if len(each.section) < len(table)]
        if not members:  # Only `[….deny]` says that the table exists.
            start = above(text, found.below(table)[0].start)
            lines = [f"[{dotted(table)}]", *assignments({field: value}, newline), "", ""]
            return text[:start] + newline.join(lines) + text[start:]
    section = table if header is not None else members[0].section
    members = [each for each in members if each.section == section]
    neighbour = members[0] if members else header
    assert neighbour is not None
    indent = indent_of(text[neighbour.start : neighbour.key])
    path = (*table, field[-1])
    key = dotted(path[len(section) :])
    line = f"{indent}{key} = {rendered(value, len(indent) + len(key) + 3, newline, indent)}"
    depth = len(path) - len(field)
    earlier = [each for each in members if rank(each.path[depth:]) < rank(field)]
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
        table[path[-1]] = item(value)
    edited = tomlkit.dumps(document).rstrip("\r\n")
    return found.text[: container.key] + edited + found.text[container.end :]


def _keys(found: Layout, table: tuple[str, ...]) -> set[str | int]:
    """Return the keys of a table that is written inline."""
    depth = len(table)
    return {place[depth] for place in found.places if place[:depth] == table and place[depth:]}
