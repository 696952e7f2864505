"""Many patterns as one, fast enough to match a hundred thousand targets."""

from __future__ import annotations

import re
from collections.abc import Iterable

from buildperm.rules.pattern import is_literal, matches
from buildperm.tracer.notation import encode


class PatternSet:
    """Patterns of one kind; a lookup costs the target's depth, rarely the number of patterns."""

    __slots__ = ("_anywhere", "_children", "_folders", "_heads", "_literals", "_others")

    def __init__(self, patterns: Iterable[str]) -> None:
        self._literals: set[str] = set()
        self._folders: set[str] = set()  # Of `FOLDER/**`.
        self._children: set[str] = set()  # Of `FOLDER/*`.
        self._others: list[str] = []
        self._anywhere: list[tuple[str, str]] = []  # They begin with a wildcard; see `_part`.
        heads: set[str] = set()
        for pattern in patterns:
            head = pattern.partition("*")[0].partition("?")[0]
            if pattern.endswith("/**") and _is_plain(pattern[:-3]):
                self._folders.add(pattern[:-3])
            elif pattern.endswith("/*") and _is_plain(pattern[:-2]):
                self._children.add(pattern[:-2])
            elif _is_plain(pattern):
                self._literals.add(pattern)
            elif _is_plain(head) and head:
                self._others.append(pattern)
                heads.add(head.rstrip("/"))
            else:
                self._anywhere.append((_part(pattern), pattern))
        self._heads = tuple(heads)

    def covers(self, target: str) -> bool:
        """Tell whether one of the patterns covers all of `target`."""
        if target in self._literals or target in self._folders:
            return True
        end = target.rfind("/")
        if end >= 0 and target[:end] in self._children:
            return True
        while end >= 0:
            if target[:end] in self._folders:
                return True
            end = target.rfind("/", 0, end)
        if target.startswith(self._heads) and any(matches(each, target) for each in self._others):
            return True
        return any(part in target and matches(pattern, target) for part, pattern in self._anywhere)


def _part(pattern: str) -> str:
    """Return text that everything holds that a pattern covers; empty where spellings differ."""
    part = max((part.strip("/") for part in re.split(r"[*?]+", pattern)), key=len)
    return part if "%" not in part and _is_plain(part) else ""


def _is_plain(pattern: str) -> bool:
    """Tell whether comparing text is enough: no wildcards, one spelling."""
    return is_literal(pattern) and encode(pattern.replace("$", "").encode()) == pattern.replace(
        "$", ""
    )
