"""The order of versions: that of Semantic Versioning, and total over any other text."""

from __future__ import annotations

from typing import TypeAlias

_Identifier: TypeAlias = tuple[int, int, str]

Age: TypeAlias = tuple[tuple[_Identifier, ...], bool, tuple[_Identifier, ...], str, str]
"""Compares as versions do: the older one is less."""


def sort_key(version: str) -> Age:
    """Return what versions are sorted by: numbers as numbers, a pre-release before its release.

    Versions that differ in build metadata or commit alone are sorted by their text.
    """
    whole, _, build = version.partition("#")[0].partition("+")
    number, dash, pre_release = whole.partition("-")
    before = _identifiers(pre_release) if dash else ()
    return _identifiers(number), not dash, before, build, version


def _identifiers(text: str) -> tuple[_Identifier, ...]:
    return tuple(map(_identifier, text.split(".")))


def _identifier(text: str) -> _Identifier:
    if text.isascii() and text.isdecimal():
        digits = text.lstrip("0")
        return 0, len(digits), digits  # Without `int`, which has a limit of digits.
    return 1, 0, text
