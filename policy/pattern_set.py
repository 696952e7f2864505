"""Many patterns as one, fast enough to match a hundred thousand targets."""

from __future__ import annotations

import re
from collections.abc import Iterable

from buildperm.rules.pattern import WILDCARDS, is_literal, matches, parts
from buildperm.tracer.notation import encode

_FOLDERS_MOST = 4096
_WILDCARDS_MOST = 2  # Of a pattern that becomes a regular expression: each multiplies its time.
_REGULAR = {
    "?": "[^/]",
    "*": "[^/]*",
    "**": ".*",
    "/**": "(?:/.*)?",
    "/**/": "/(?:.*/)?",
    "**/": "(?:.*/)?",
}
"""Regular expressions for the wildcards of `rules.pattern`."""


class PatternSet:
    """Patterns of one kind; a lookup costs the target's depth, rarely the number of patterns."""

    __slots__ = (
        *(
            "_anywhere",
            "_children",
            "_folders",
            "_heads",
            "_known",
            "_literals",
            "_others",
            "_regular",
        ),
        "_written",
    )

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
        self._written = [each for each in self._others if _is_simple(each)]
        self._others = [each for each in self._others if not _is_simple(each)]
        self._regular = _as_one(self._written)
        self._known: dict[str, tuple[bool, bool]] = {}  # By folder: see `_of_folder`.

    def covers(self, target: str) -> bool:
        """Tell whether one of the patterns covers all of `target`."""
        if target in self._literals or target in self._folders:
            return True
        folder, slash, _ = target.rpartition("/")
        if slash:
            known = self._known.get(folder)
            if known is None:
                known = self._of_folder(folder)
                if len(self._known) < _FOLDERS_MOST:
                    self._known[folder] = known
            if known[0]:
                return True
            may_match = known[1]
        else:
            may_match = True
        if may_match and target.startswith(self._heads) and self._matches(target):
            return True
        return any(part in target and matches(pattern, target) for part, pattern in self._anywhere)

    def _matches(self, target: str) -> bool:
        """Ask the patterns with wildcards after a beginning."""
        if "%" in target:  # Which `*` cannot cut in two: see `rules.pattern`.
            return any(matches(each, target) for each in (*self._written, *self._others))
        if self._regular is not None and self._regular.fullmatch(target):
            return True
        return any(matches(each, target) for each in self._others)

    def _of_folder(self, folder: str) -> tuple[bool, bool]:
        """Return whether everything in a folder is covered, and whether other patterns may do so.

        Most of many targets lie in few folders. What lies directly in one is meant.
        """
        inside = f"{folder}/"
        may_match = inside.startswith(self._heads) or any(
            head.startswith(inside) for head in self._heads
        )
        if folder in self._children:
            return True, may_match
        end = len(folder)
        while end >= 0:
            if folder[:end] in self._folders:
                return True, may_match
            end = folder.rfind("/", 0, end)
        return False, may_match


def _is_simple(pattern: str) -> bool:
    """Tell whether a regular expression takes no longer than `matches`: with few wildcards."""
    return sum(part in WILDCARDS for part in parts(pattern)) <= _WILDCARDS_MOST


def _as_one(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """Return one regular expression for patterns, as far as texts without `%` go."""
    written = [
        "".join(_REGULAR.get(part) or re.escape(part) for part in parts(p)) for p in patterns
    ]
    return re.compile("|".join(written), re.DOTALL) if written else None


def _part(pattern: str) -> str:
    """Return text that everything holds that a pattern covers; empty where spellings differ."""
    part = max((part.strip("/") for part in re.split(r"[*?]+", pattern)), key=len)
    return part if "%" not in part and _is_plain(part) else ""


def _is_plain(pattern: str) -> bool:
    """Tell whether comparing text is enough: no wildcards, one spelling."""
    return is_literal(pattern) and encode(pattern.replace("$", "").encode()) == pattern.replace(
        "$", ""
    )
