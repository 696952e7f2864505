"""Finds the scripts and macros that were not reviewed as they are now, building nothing."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import package_folder
from buildperm.cargo.arguments import parse
from buildperm.cargo.grant_keys import GrantKeys, places
from buildperm.cargo.inputs import ABSENT, InputCollector
from buildperm.cargo.macro_consumers import MacroConsumers
from buildperm.cargo.project import LEARN
from buildperm.errors import BuildpermError
from buildperm.policy import causes, compilation, expiry, removal_proposals
from buildperm.policy.grants import HOLD, CrateGrants, Policy, parse_key
from buildperm.policy.pending_review import Cause, Pending
from buildperm.policy.role import SubjectKind, united
from buildperm.policy.snapshots import previous
from buildperm.rules.pattern import absolute

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from buildperm.cargo.metadata import Package
    from buildperm.cargo.project import Project
    from buildperm.policy.snapshot import Inputs, Snapshot, SnapshotRun

    Snapshots = Mapping[tuple[str, str], Snapshot]
    """By crate and version, as `policy.lock_file` reads them."""


def reviewed_files(places_: Mapping[str, bytes], snapshots: Iterable[Snapshot]) -> Iterator[Path]:
    """Yield the files that build scripts were made from when they were reviewed, there or not."""
    for name in dict.fromkeys(name for each in snapshots for name in each.inputs.files):
        try:
            path = absolute(name, places_)
        except ValueError:
            continue
        if path is not None:
            yield Path(package_folder.absolute(os.fsdecode(path)))


_OF_CONTENT = (Cause.NEW, Cause.VERSION, Cause.SOURCE, Cause.BUILD_DEPENDENCIES)


def doubtful(project: Project, found: Iterable[Pending]) -> frozenset[str]:
    """Return the names of the packages that Cargo may take for fresh although they have changed.

    Cargo compares the dates of files, which anybody can choose, and takes vendored packages for
    immutable. A recording must be of what is there now.
    """
    places_ = places(project.metadata, project.toolchain, project.environment)
    ingredients = InputCollector(project.metadata, project.lock, places_)
    packages = {
        (each.name, each.version, each.source): each for each in project.metadata.reviewed()
    }
    names: set[str] = set()
    for each in found:
        package = packages.get((each.name, each.version, each.source))
        if package is not None and any(cause in _OF_CONTENT for cause, _ in each.causes):
            names |= ingredients.local(package)
    return frozenset(names)


@dataclass(frozen=True, slots=True)
class StaleEntries:
    """What is kept about crates that are no longer in Cargo.lock; all sorted."""

    snapshots: tuple[tuple[str, str], ...]  # Crate and version.
    grants: tuple[str, ...]  # Keys of the grant table.


def pending(
    project: Project, policy: Policy, snapshots: Snapshots, *, words: str = ""
) -> list[Pending]:
    """Find what has to be reviewed in one context, the new crates first, then by crate.

    Macros count where they are held: only then can anybody see what they do.

    Args:
        project: The workspace in that context.
        policy: Its grants.
        snapshots: How its crates were when they were reviewed.
        words: What the context goes by; empty for the words of the project.

    Raises:
        BuildpermError: Cargo.lock lacks the checksum of a package.
    """
    return _PendingSearch(
        project, policy, snapshots, words or shlex.join(project.arguments.words)
    ).all()


def combined(contexts: Iterable[Iterable[Pending]]) -> list[Pending]:
    """Put together what is pending in several contexts, each crate once."""
    found: dict[tuple[str, str, str], Pending] = {}
    for context in contexts:
        for each in context:
            key = each.crate, each.version, each.source
            known = found.get(key)
            if known is not None:
                each = replace(known, causes=tuple(dict.fromkeys(known.causes + each.causes)))
            found[key] = each
    return _ordered(found.values())


def stale(projects: Sequence[Project], policy: Policy, snapshots: Snapshots) -> StaleEntries:
    """Find the entries that nothing needs; the projects are one workspace in several contexts."""
    locked = {(each.name, each.version, each.source) for each in projects[0].lock.packages}
    reviewed: set[tuple[str, str, str]] = set()
    plain: set[tuple[str, str, str]] = set()
    for project in projects:
        for each in project.metadata.packages.values():
            known = reviewed if each.subjects else plain
            known.add((each.name, each.version, each.source))
    everything, running = _by_name(locked), _by_name(locked - (plain - reviewed))
    gone = (
        key
        for key, snapshot in snapshots.items()
        # Of a crate where nothing runs, compiling it may have been looked at.
        if not _is_there(*key, everything if _is_compiled(snapshot) else running)
    )
    unused = (grants.key for grants in removal_proposals.absent(policy, locked))
    unmet = (f"{key} for {name}" for key, name in removal_proposals.unmet(policy, locked))
    return StaleEntries(tuple(sorted(gone)), (*sorted(unused), *unmet))


def _by_name(
    packages: Iterable[tuple[str, str, str]],
) -> dict[tuple[str, str], list[tuple[str, str, str]]]:
    """Index packages by name and version."""
    found: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for package in packages:
        found.setdefault(package[:2], []).append(package)
    return found


def _is_compiled(snapshot: Snapshot) -> bool:
    return any(each.context.role.subject is SubjectKind.COMPILE for each in snapshot.sightings)


def _is_there(
    crate: str, version: str, packages: Mapping[tuple[str, str], list[tuple[str, str, str]]]
) -> bool:
    """Tell whether a key means one of the packages of a version."""
    reviewed = CrateGrants(crate, reviewed=frozenset({""}))
    try:
        named = packages.get((parse_key(crate).name, version), ())
        return not removal_proposals.absent(Policy("", {crate: reviewed}, Path()), named)
    except ValueError:
        return False


def subjects_of(
    package: Package, policy: Policy, replaced: Collection[str] = ()
) -> tuple[SubjectKind, ...]:
    """Return what of a package is to be reviewed: macros only where they are held.

    `replaced` are the IDs of the packages whose scripts never run: see `Project.replaced`.
    """
    left = {SubjectKind.MACRO} if policy.compile in ("", HOLD) else set()
    left |= set() if package.id in replaced else {SubjectKind.SCRIPT}
    return tuple(each for each in package.subjects if each in left)


class _PendingSearch:
    """One look at a workspace in one context."""

    def __init__(self, project: Project, policy: Policy, snapshots: Snapshots, words: str) -> None:
        self._metadata = project.metadata
        self._replaced = project.replaced
        self._policy = policy
        self._words = words
        self._places = places(project.metadata, project.toolchain, project.environment)
        self._keys = GrantKeys(project.metadata, project.lock, policy, self._places)
        self._ingredients = InputCollector(project.metadata, project.lock, self._places)
        self._reach = MacroConsumers(project.metadata, self._keys)
        # A key that has got a version since, or lost it, still means the same crate.
        self._snapshots = {
            (_without_version(crate), version): snapshot
            for (crate, version), snapshot in snapshots.items()
        }

    def all(self) -> list[Pending]:
        found: list[tuple[Package, str, Snapshot | None, list[tuple[Cause, str]]]] = []
        for package in self._metadata.reviewed():
            subjects = self._subjects_of(package)
            if not subjects:
                continue
            crate, grants = self._keys.of(package)
            before = previous(self._snapshots, _without_version(crate), package.version)
            why = list(self._causes(package, grants, before))
            if why:
                found.append((package, crate, before, why))
        ways = self._metadata.chains(package.id for package, *_ in found)
        return _ordered(
            Pending(
                crate=crate,
                name=package.name,
                version=package.version,
                source=package.source,
                before=before.version if before else "",
                way=tuple(step.name for step in ways[package.id]),
                causes=tuple(why),
                subjects=self._subjects_of(package),
            )
            for package, crate, before, why in found
        )

    def _subjects_of(self, package: Package) -> tuple[SubjectKind, ...]:
        return subjects_of(package, self._policy, self._replaced)

    def _causes(
        self, package: Package, grants: CrateGrants | None, before: Snapshot | None
    ) -> Iterator[tuple[Cause, str]]:
        yield from causes.from_version(before, package.version, self._subjects_of(package))
        if before is None:
            return
        folder = package_folder.portable(os.fsencode(package.folder), self._places)
        now = self._inputs(package, before)
        yield from causes.from_inputs(before, package.version, package.source, now, folder, ABSENT)
        if self._words in before.commands:
            yield from causes.from_features(before.commands[self._words], package.features)
        if package.version != before.version:
            return  # Whatever else there is to say is about another version.
        if self._words not in before.commands:
            yield from causes.from_context(self._words, is_declared=self._is_declared())
        held_to = compilation.effective(grants, package.revision)
        lacking: list[tuple[Cause, str]] = []
        for is_inside, sightings in self._by_grants(grants, before).items():
            lacking += causes.from_grants(
                {each for sighting in sightings for each in sighting.seen},
                held_to.rules if is_inside else (),
                held_to.denials,
                united(sighting.context.role for sighting in sightings),
            )
        if lacking and grants is not None and grants.expires is not None:
            yield from causes.from_expiry(grants.expires, expiry.today())
        if lacking and grants is not None and grants.young:
            yield Cause.GRANTS, grants.young
        yield from lacking

    def _by_grants(
        self, grants: CrateGrants | None, before: Snapshot
    ) -> dict[bool, list[SnapshotRun]]:
        """Tell runs for which grants hold from those of macros in somebody else's code."""
        found: dict[bool, list[SnapshotRun]] = {}
        for sighting in before.sightings:
            role = sighting.context.role
            if sighting.seen:
                is_inside = role.subject is not SubjectKind.MACRO or self._reach.hold(
                    grants, role.consumer
                )
                found.setdefault(is_inside, []).append(sighting)
        return found

    def _inputs(self, package: Package, before: Snapshot) -> Inputs:
        is_local = self._ingredients.is_local(package)
        files = reviewed_files(self._places, [before] if is_local else ())
        return self._ingredients.inputs(package, files)

    def _is_declared(self) -> bool:
        for context in self._policy.contexts:
            try:
                words = parse(shlex.split(context), default=LEARN).words
            except (BuildpermError, ValueError):
                continue
            if shlex.join(words) == self._words:
                return True
        return False


def _ordered(found: Iterable[Pending]) -> list[Pending]:
    return sorted(found, key=lambda each: (not each.is_new, each.crate, each.version))


def _without_version(key: str) -> str:
    try:
        return str(replace(parse_key(key), version=""))
    except ValueError:
        return key
