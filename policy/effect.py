"""What a change of the circumstances does to a run, compared with two runs without the change.

What differs between these two has nothing to do with the change, and is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EffectDifference:
    """One item that differs with the change."""

    item: str
    before: str  # Empty where it was not there.
    after: str  # Empty where it is not there.


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change does to one aspect of a run: its files, its directives, its accesses."""

    differences: tuple[EffectDifference, ...]
    unstable: tuple[str, ...]  # Not compared: not even the runs without the change agree on it.


def compare(
    first: Mapping[str, str],
    second: Mapping[str, str],
    changed: Mapping[str, str],
    *,
    group: Callable[[str], str],
) -> Effect:
    """Compare a changed run with two unchanged ones, item by item.

    `group` says what an item belongs to. Where the unchanged runs do not have the same items of a
    group, as with temporary files of random names, a new one of that group tells nothing.
    """
    unstable = {item for item in (*first, *second) if first.get(item, "") != second.get(item, "")}
    restless = {group(item) for item in unstable if item not in first or item not in second}
    differences = []
    for item in sorted({*first, *changed} - unstable):
        before, after = first.get(item, ""), changed.get(item, "")
        if before == after:
            continue
        if item not in first and group(item) in restless:
            unstable.add(item)
            continue
        differences.append(EffectDifference(item, before, after))
    return Effect(tuple(differences), tuple(sorted(unstable)))


def counted(items: Iterable[str]) -> dict[str, str]:
    """Return how often each item is there: `1 time`, `2 times`."""
    numbers: dict[str, int] = {}
    for item in items:
        numbers[item] = numbers.get(item, 0) + 1
    return {item: "1 time" if n == 1 else f"{n} times" for item, n in numbers.items()}
