"""Whether two patterns share anything: what a denial takes away from a grant."""

from __future__ import annotations

import re
from itertools import product

_PARTS = re.compile(r"\*\*|\*|\?|%[0-9A-Fa-f]{2}|.", re.DOTALL)
_BETWEEN = re.compile(r"/\*\*(?=/|$)")


def overlap(first: str, second: str) -> bool:
    """Tell whether there is any text that both patterns cover."""
    return any(
        _meet(tuple(_PARTS.findall(one)), tuple(_PARTS.findall(other)))
        for one, other in product(_variants(first), _variants(second))
    )


def _variants(pattern: str) -> list[str]:
    """Write out that `/**` also stands for nothing, and a leading `**/` too."""
    if pattern.endswith("/**/"):  # It says the same without its last slash.
        pattern = pattern[:-1]
    if pattern.startswith("**/"):
        return [*_variants(pattern[3:]), *_spread("**/", pattern[3:])]
    return _spread("", pattern)


def _spread(head: str, pattern: str) -> list[str]:
    found = _BETWEEN.search(pattern)
    if found is None:
        return [head + pattern]
    before, rest = head + pattern[: found.start()], pattern[found.end() :]
    return [*_spread(before, rest), *_spread(f"{before}/**", rest)]


def _meet(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """Tell whether two patterns, split into parts, can match the same text."""
    later: list[bool] = []  # For the next part of `first`: from each part of `second` on.
    for i in range(len(first), -1, -1):
        one = first[i] if i < len(first) else ""
        now = [False] * (len(second) + 1)
        for j in range(len(second), -1, -1):
            other = second[j] if j < len(second) else ""
            if not one and not other:
                now[j] = True
            elif one.startswith("*"):
                now[j] = later[j] or (_takes(one, other) and now[j + 1])
            elif other.startswith("*"):
                now[j] = now[j + 1] or (_takes(other, one) and later[j])
            elif one and other:
                alike = one == other or ("?" in (one, other) and "/" not in (one, other))
                now[j] = alike and later[j + 1]
        later = now
    return later[0]


def _takes(wildcard: str, part: str) -> bool:
    """Tell whether a run of anything may cover one more part of the other pattern."""
    return part != "" and (wildcard == "**" or part != "/")
