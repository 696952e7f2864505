"""The text of the fields of a crate's table: their order, and how each value is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import tomlkit

from buildperm.policy import string_list
from buildperm.policy.kinds import GRANTABLE

if TYPE_CHECKING:
    from tomlkit.items import Item

Field: TypeAlias = tuple[str, ...]
"""A key of a crate's table: `("exec",)`, `("deny", "exec")`."""

Value: TypeAlias = str | list[str]

_ORDER = ("reviewed", "presets", *GRANTABLE, "deny", "for", "compile", "reason", "expires")


def item(value: Value | dict[str, Any]) -> Item:
    """Make what tomlkit puts into an inline table."""
    if not isinstance(value, dict):
        # Not `tomlkit.item`: that leaves what changes a line's direction as it is.
        if isinstance(value, str):
            return tomlkit.value(string_list.literal(value))
        return tomlkit.value(f"[{', '.join(map(string_list.literal, value))}]")
    table = tomlkit.inline_table()
    for key, inner in value.items():
        table[key] = item(inner)
    return table


def nested(said: Mapping[Field, Value]) -> dict[str, Any]:
    """Return fields in their order, those of `deny` in a table of their own."""
    nested: dict[str, Any] = {}
    for field in sorted(said, key=rank):
        table = nested
        for key in field[:-1]:
            table = table.setdefault(key, {})
        table[field[-1]] = said[field]
    return nested


def assignments(said: Mapping[Field, Any], newline: str) -> list[str]:
    """Write fields as the lines below a `[header]`."""
    lines: list[str] = []
    for key, value in nested(said).items():
        text = f"{key} = {rendered(value, len(key) + 3, newline, '')}"
        if isinstance(value, dict) and len(text) > string_list.WIDTH:
            for kind, patterns in value.items():
                name = f"{key}.{kind}"
                lines.append(f"{name} = {rendered(patterns, len(name) + 3, newline, '')}")
        else:
            lines.append(text)
    return lines


def rendered(value: Value | dict[str, list[str]], before: int, newline: str, indent: str) -> str:
    """Write a value; `before` says how many columns of its first line are taken."""
    if isinstance(value, str):
        return string_list.literal(value)
    if isinstance(value, dict):
        inner = [f"{key} = [{', '.join(map(string_list.literal, value[key]))}]" for key in value]
        return f"{{ {', '.join(inner)} }}"
    return string_list.written(value, before=before, newline=newline, indent=indent)


def rank(field: Sequence[str]) -> tuple[int, ...]:
    """Order fields as they are written; what is unknown comes last."""
    places = [_ORDER.index(key) if key in _ORDER else len(_ORDER) for key in field]
    return tuple(places)
