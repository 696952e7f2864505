"""Where packages come from now and came from before, and which grants now go to other code."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from buildperm.cargo import package_folder
from buildperm.cargo.grant_keys import places
from buildperm.cargo.lock import CargoLock, PackageIdentity
from buildperm.cargo.project import Project
from buildperm.policy.granted_packages import GrantedPackage, Tables
from buildperm.policy.grants import CRATES_IO, CrateGrants, Policy, parse_key
from buildperm.policy.proposal import Risk
from buildperm.policy.widening import WiderGrant

_CRATES_IO = "crates.io"
_PLAIN_NAMES = "a plain name in the grant table means either"


def moved_grants(
    project: Project, before: Policy, after: Policy, known: CargoLock
) -> list[WiderGrant]:
    """Return what was granted to other code and now goes to a package of Cargo.lock.

    Tables that are new themselves are left out: they are reported anyway.

    Args:
        project: The workspace.
        before: The grants that are the reference.
        after: Those that there are now.
        known: The Cargo.lock that was there beside the former.
    """
    names = {parse_key(key).name for key in after.crates}
    old, new = Tables(before), Tables(after)
    former: dict[str, list[PackageIdentity]] = {}
    for package in known.packages:
        former.setdefault(package.name, []).append(package)
    found = []
    for subject, package in _granted_packages(project, names):
        now, was = new.grants(subject), old.grants(subject)
        if _grants_something(now) and _grants_something(was):
            assert now is not None
            what = _moved(subject, package, former.get(package.name, ()), now.key)
            if what:
                place = ("crates", now.key)
                found.append(
                    WiderGrant(now.key, f"origin {package.name}", what, (), Risk.HIGH, place)
                )
    return found


def _granted_packages(
    project: Project, names: Iterable[str]
) -> Iterator[tuple[GrantedPackage, PackageIdentity]]:
    wanted = set(names)
    twins = {each.name for each in project.lock.packages if each.source in CRATES_IO}
    folders = _folders(project)
    for package in project.lock.packages:
        if package.name not in wanted or (not package.source and package.name in twins):
            continue  # With a twin at crates.io a folder goes by its own key, which names it.
        directory = "" if package.source else folders.get((package.name, package.version), "")
        yield GrantedPackage(package.name, package.version, "", package.source, directory), package


def _folders(project: Project) -> Mapping[tuple[str, str], str]:
    tokens = places(project.metadata, project.toolchain, project.environment)
    return {
        (each.name, each.version): package_folder.portable(os.fsencode(each.folder), tokens)
        for each in project.metadata.packages.values()
        if not each.source
    }


def _moved(
    subject: GrantedPackage, now: PackageIdentity, former: Iterable[PackageIdentity], key: str
) -> str:
    """Say why a package is no longer the same code; empty if it still is."""
    origins = {}
    for was in former:
        origin = GrantedPackage(was.name, was.version, "", was.source, "")
        origins[_origin(was)] = origin.origin
        if _origin(was) == _origin(now):
            is_same_version = was.version == now.version and was.checksum and now.checksum
            if is_same_version and was.checksum != now.checksum:
                return f"now grants to other code: {now.version} has another checksum in Cargo.lock"
    # Beside its twin at crates.io, which is gone, the folder went by a key of its own.
    had_twin = not now.source and not parse_key(key).source and _CRATES_IO in origins
    if _origin(now) in origins and not had_twin:
        return ""
    origins.pop(_origin(now), None)
    if origins:
        came = ", ".join(sorted(origins.values()))
        return f"now grants to other code: {now.name} is {subject.origin}, and was {came}"
    if not now.source and not parse_key(key).source:
        return f"now grants to other code: {now.name} is new, and {subject.origin}; {_PLAIN_NAMES}"
    return ""


def _origin(package: PackageIdentity) -> str:
    """Return what is the same for the same package in another version or commit."""
    return _CRATES_IO if package.source in CRATES_IO else package.source.partition("#")[0]


def _grants_something(grants: CrateGrants | None) -> bool:
    return grants is not None and bool(grants.rules or grants.presets)
