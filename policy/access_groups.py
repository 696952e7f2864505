"""Groups accesses by what a person would decide together: few enough to be asked about singly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush

from buildperm.policy import ladder, risk
from buildperm.policy.access import Access
from buildperm.policy.proposal import Risk

GROUPS_MOST = 3
"""Groups of one kind that are asked about singly; more are put together."""
CAUSES_MOST = 8
"""Programs whose files are asked about one program at a time."""


def grouped(
    accesses: Sequence[Access], key: Callable[[str], str], *, most: int = GROUPS_MOST
) -> list[list[Access]]:
    """Group accesses by a key of their target; small groups join where there are too many."""
    groups: dict[str, list[Access]] = {}
    ordered = sorted(accesses, key=lambda access: access.target)
    for access in ordered:
        groups.setdefault(key(access.target), []).append(access)
    if len(groups) > most:  # What is called alike but for a number belongs together.
        groups = {}
        for access in ordered:
            groups.setdefault(ladder.numberless(key(access.target)), []).append(access)
    # By risk, so that no ordinary group becomes a risky one; the smallest are put together first.
    sizes: dict[Risk, list[tuple[int, str]]] = {}
    for name, group in groups.items():
        sizes.setdefault(_worst(group), []).append((len(group), name))
    for heap in sizes.values():
        heapify(heap)
    while len(groups) > most:
        joinable = [heap for heap in sizes.values() if len(heap) > 1]
        if not joinable:
            break
        heap = min(joinable, key=lambda heap: (heap[0][0] + min(heap[1:3])[0], heap[0][1]))
        (_, first), (_, second) = heappop(heap), heappop(heap)
        groups[first] += groups.pop(second)
        heappush(heap, (len(groups[first]), first))
    for group in groups.values():
        group.sort(key=lambda access: access.target)
    return list(groups.values())


def by_cause(accesses: Sequence[Access]) -> list[list[Access]]:
    """Group accesses by the program that alone wanted them; those of the script itself first."""
    groups: dict[str, list[Access]] = {}
    for access in accesses:
        groups.setdefault(access.wanted_by, []).append(access)
    if len(groups) > CAUSES_MOST:
        return [list(accesses)]  # Each program has a question of its own, whatever it touched.
    return [groups[cause] for cause in sorted(groups)]


def _worst(accesses: Iterable[Access]) -> Risk:
    return max(risk.assess_access(access)[0] for access in accesses)
