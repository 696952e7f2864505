"""Combines runs of a crate: in several contexts and roles, or repeated in the same ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from buildperm.policy.access import COMMANDS_MOST, Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.role import united

CHAINS_MOST = 5
"""How many process chains an access keeps."""

_GRAVITY = {Outcome.FAILED: 0, Outcome.DONE: 1, Outcome.REFUSED: 2}


def combine(runs: Iterable[Iterable[Access]]) -> list[Access]:
    """Return the accesses of all runs, each once, in the order in which they turned up.

    What a macro did for a package outside the workspace stays apart: grants may hold for others
    alone.
    """
    combined: dict[tuple[Kind, str, str], Access] = {}
    for accesses in runs:
        for access in accesses:
            key = _key(access)
            known = combined.get(key)
            combined[key] = access if known is None else _both(known, access)
    return list(combined.values())


def stable(runs: Sequence[Sequence[Access]]) -> list[Access]:
    """Return the accesses of several runs of one unit; mark those that some runs lack."""
    times = Counter(key for run in runs for key in set(map(_key, run)))
    return [
        access
        if (seen := times[_key(access)]) == len(runs)
        else replace(access, unstable=f"in {seen} of {len(runs)} runs")
        for access in combine(runs)
    ]


def _key(access: Access) -> tuple[Kind, str, str]:
    return access.kind, access.target, access.outside


def _both(one: Access, other: Access) -> Access:
    """Add up two runs' share of the same access; the graver outcome stands."""
    chains = tuple(dict.fromkeys(one.chains + other.chains))[:CHAINS_MOST]
    graver = max(one, other, key=lambda access: (_GRAVITY[access.outcome], access.saw_empty_home))
    return replace(
        graver,
        count=one.count + other.count,
        chains=chains,
        first_ns=min(one.first_ns, other.first_ns),
        last_ns=max(one.last_ns, other.last_ns),
        example=graver.example or one.example or other.example,
        commands=_added(one.commands, other.commands),
        own_lines=tuple(dict.fromkeys(one.own_lines + other.own_lines)),
        causes=tuple(sorted({*one.causes, *other.causes})),
        sensitive=graver.sensitive or one.sensitive or other.sensitive,
        resolved=graver.resolved or one.resolved or other.resolved,
        is_free=one.is_free and other.is_free,
        is_folder=one.is_folder or other.is_folder,
        is_whole=one.is_whole or other.is_whole,
        is_entry=one.is_entry or other.is_entry,
        is_foreseen=graver.outcome is Outcome.FAILED and (one.is_foreseen or other.is_foreseen),
        refused_by_system=(
            one.refused_by_system or other.refused_by_system
            if graver.outcome is Outcome.FAILED
            else ""
        ),
        is_let_through=all(
            each.is_let_through for each in (one, other) if each.outcome is graver.outcome
        ),
        is_look=all(each.is_look for each in (one, other) if each.outcome is graver.outcome),
        unstable=graver.unstable or one.unstable or other.unstable,
        roles=one.roles if one.roles == other.roles else united(one.roles + other.roles),
    )


def _added(
    one: tuple[tuple[str, int], ...], other: tuple[tuple[str, int], ...]
) -> tuple[tuple[str, int], ...]:
    times = dict(one)
    for line, number in other:
        if line in times or len(times) < COMMANDS_MOST:
            times[line] = times.get(line, 0) + number
    return tuple(times.items())
