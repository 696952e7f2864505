"""Taking, merging and comparing snapshots."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from buildperm.policy import bundles, ladder
from buildperm.policy.access import Access, Outcome
from buildperm.policy.coverage import Coverage
from buildperm.policy.kinds import Kind
from buildperm.policy.role import Role, SubjectKind
from buildperm.policy.rule import Rule
from buildperm.policy.runtime_table import strength
from buildperm.policy.sensitivity import why_sensitive
from buildperm.policy.snapshot import Context, SeenAccess, Snapshot, SnapshotRun
from buildperm.policy.stable_target import lasting
from buildperm.policy.undecided_accesses import is_of_denied, is_settled
from buildperm.policy.version import sort_key
from buildperm.rules.pattern import is_literal, matches


class SnapshotDifference(NamedTuple):
    """What one version was seen doing beside another; each sorted, none in two of them."""

    new: tuple[SeenAccess, ...]
    gone: tuple[SeenAccess, ...]
    same: tuple[SeenAccess, ...]


def seen(accesses: Iterable[Access], denials: Iterable[Rule] = ()) -> frozenset[SeenAccess]:
    """Keep what goes beyond the baseline, whether it is granted, denied or neither.

    It is told the same in every run of the same script, on whatever commit and under whatever
    grants. What only denied programs wanted is left out: they want nothing any more.
    """
    refused = Coverage(denials)
    kept = [
        access
        for access in accesses
        if (not is_settled(access) or _was_granted(access)) and not is_of_denied(access, refused)
    ]
    reads = _by_habit(kept)
    return frozenset(
        replace(one, target=reads.get(one.target, one.target)) if one.kind is Kind.READ else one
        for one in (
            canonical(SeenAccess(access.kind, access.target, access.outcome)) for access in kept
        )
    )


def _by_habit(accesses: Iterable[Access]) -> dict[str, str]:
    """Return what tells of reading a file as it will be told after the next commits, too."""
    open_ = [access for access in accesses if not access.sensitive]
    parts = {
        lasting(part.kind, part.target): f"{folder}/**"
        for bundle in bundles.found(open_)
        for part in bundle.parts
        for folder in bundle.folders
        if f"{part.target}/".startswith(f"{folder}/")
    }
    reads = {lasting(each.kind, each.target) for each in open_ if each.kind is Kind.READ}
    return ladder.by_habit(reads - parts.keys()) | parts


@lru_cache(maxsize=1 << 16)
def canonical(access: SeenAccess) -> SeenAccess:
    """Return how an access is told whether it is granted or not, whatever the commit is.

    The sensitive tier keeps its outcome: by that is known what was granted there by hand.
    """
    target = lasting(access.kind, access.target)
    is_failed = access.outcome is Outcome.FAILED and access.kind is not Kind.EXEC
    # A program is kept that is not there, and is run where it is: the same on either machine.
    if why_sensitive(access.kind, access.target) or is_failed:
        return SeenAccess(access.kind, target, access.outcome)
    done = Access(access.kind, access.target, Outcome.DONE, 1, 0, 0, ())
    return SeenAccess(access.kind, target, Outcome.REFUSED if is_settled(done) else Outcome.DONE)


def _was_granted(access: Access) -> bool:
    """Tell whether it is a directive that only a grant lets pass: others have no value, if free."""
    if access.kind is not Kind.DIRECTIVE or access.outcome is not Outcome.DONE or access.is_free:
        return False
    key, equals, _ = access.target.partition("=")
    return bool(equals) and key not in ("metadata", "rustc-env")


def previous(
    snapshots: Mapping[tuple[str, str], Snapshot], crate: str, version: str
) -> Snapshot | None:
    """Return what a crate is compared with: the same version, else the nearest lower, else any.

    Above all lower ones stands the highest of them; without one, the lowest of the higher ones.
    """
    versions = [known for name, known in snapshots if name == crate]
    if not versions:
        return None
    now = sort_key(version)
    lower = [known for known in versions if sort_key(known) <= now]
    return snapshots[crate, max(lower, key=sort_key) if lower else min(versions, key=sort_key)]


def updated(
    old: Mapping[tuple[str, str], Snapshot],
    new: Iterable[Snapshot],
    present: Collection[tuple[str, str]],
) -> dict[tuple[str, str], Snapshot]:
    """Return what is known after a review.

    A snapshot made from the same inputs is joined with the older one; any other one replaces it. A
    version that is not there any more is kept as long as some version of the crate is unknown,
    which is to be compared with it.

    Args:
        old: All snapshots before the review.
        new: Those whose review is settled; several of the same version are joined.
        present: Crate and version of every package that is asked about and is there now.
    """
    settled: dict[tuple[str, str], Snapshot] = {}
    for snapshot in new:
        key = snapshot.crate, snapshot.version
        settled[key] = _joined(settled.get(key), snapshot)
    known = dict(old)
    for key, snapshot in settled.items():
        known[key] = _joined(_without(old.get(key), snapshot), snapshot)
    here = set(present)
    unsettled = {crate for crate, version in here if (crate, version) not in known}
    return {
        key: replace(kept, sightings=_condensed(kept.sightings))
        for key, kept in known.items()
        if key in here or key[0] in unsettled
    }


def by_context(sightings: Iterable[SnapshotRun]) -> tuple[SnapshotRun, ...]:
    """Sort sightings, and unite those of one context: runs that nothing else tells apart."""
    found: dict[Context, SnapshotRun] = {}
    for sighting in sightings:
        other = found.get(sighting.context)
        if other is not None:
            weaker = min(sighting.runtime, other.runtime, key=strength)
            sighting = SnapshotRun(sighting.context, weaker, sighting.seen | other.seen)
        found[sighting.context] = sighting
    return tuple(found[context] for context in sorted(found))


def _condensed(sightings: Iterable[SnapshotRun]) -> tuple[SnapshotRun, ...]:
    """Put together the runs of macros in which nothing was seen: hundreds of crates may use one."""
    return by_context(
        sighting
        if sighting.seen or sighting.context.role.subject is not SubjectKind.MACRO
        else replace(sighting, context=_for_anybody(sighting.context))
        for sighting in sightings
    )


def _for_anybody(context: Context) -> Context:
    """Return the context under which macros are kept that did nothing for a consumer."""
    if context.role.subject is not SubjectKind.MACRO:
        return context
    return replace(context, features=(), role=Role(SubjectKind.MACRO))


def compare(previous: Snapshot | None, now: Snapshot) -> SnapshotDifference:
    """Find what is new, gone and the same, each run compared with the last one of its context.

    A context without an earlier run stands beside all earlier runs together. What is new in one
    context is new, even if it was known from another; what is still seen in one is not gone.
    """
    known: dict[Context, frozenset[SeenAccess]] = {}
    for sighting in previous.sightings if previous else ():
        was = frozenset(map(canonical, sighting.seen))  # As earlier versions have told it.
        known[sighting.context] = known.get(sighting.context, frozenset()) | was
    everything = frozenset[SeenAccess]().union(*known.values())
    new: set[SeenAccess] = set()
    gone: set[SeenAccess] = set()
    there: set[SeenAccess] = set()
    for sighting in by_context(now.sightings):
        earlier = known.get(sighting.context)
        if earlier is None:
            earlier = known.get(_for_anybody(sighting.context), everything)
        told = frozenset(map(canonical, sighting.seen))
        new |= told - earlier
        gone |= earlier - told
        there |= told
    gone -= there
    # What earlier versions told file by file is the same as the pattern that stands for it now.
    for one in [one for one in new if not is_literal(one.target)]:
        files = {
            each for each in gone if each.kind is one.kind and matches(one.target, each.target)
        }
        if files:
            gone -= files
            new.remove(one)
    return SnapshotDifference(tuple(sorted(new)), tuple(sorted(gone)), tuple(sorted(there - new)))


def claimed(
    before: Mapping[tuple[str, str], Snapshot], after: Mapping[tuple[str, str], Snapshot]
) -> Iterator[tuple[Snapshot, Snapshot | None, SnapshotDifference]]:
    """Yield what counts as reviewed in `after` and did not in `before`, beside what it was then.

    That is what was made from something else, or was seen doing something else.
    """
    for (crate, version), now in sorted(after.items()):
        then = previous(before, crate, version)
        same = before.get((crate, version))
        difference = compare(then, now)
        if same is None or (same.source, same.inputs) != (now.source, now.inputs):
            yield now, then, difference
        elif difference.new or difference.gone:
            yield now, same, difference


def _joined(before: Snapshot | None, now: Snapshot) -> Snapshot:
    """Put two snapshots of one version together if it was the same build script."""
    if before is None or (before.source, before.inputs) != (now.source, now.inputs):
        return replace(now, sightings=by_context(now.sightings))
    return replace(
        now,
        commands={**before.commands, **now.commands},
        sightings=by_context([*before.sightings, *now.sightings]),
        unused=_unused(before, now),
    )


def _without(before: Snapshot | None, now: Snapshot) -> Snapshot | None:
    """Leave out the runs that were made again.

    Which of Cargo's commands a run was part of is not kept. As long as there is one that was not
    given again, what it has shown in the same context must not be lost.
    """
    if before is None or not set(before.commands) <= set(now.commands):
        return before
    again = {sighting.context for sighting in now.sightings}
    others = (sighting for sighting in before.sightings if sighting.context not in again)
    return replace(before, sightings=tuple(others))


def _unused(before: Snapshot, now: Snapshot) -> frozenset[str]:
    """Return what neither of them used; one without any run says nothing about that."""
    if not before.sightings:
        return now.unused
    return before.unused & now.unused if now.sightings else before.unused
