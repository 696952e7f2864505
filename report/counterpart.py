"""Finds the crates of this workspace that a report from elsewhere is about."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from buildperm.errors import BuildpermError
from buildperm.policy.access import Access
from buildperm.policy.combination import combine
from buildperm.policy.role import SubjectKind
from buildperm.report.json_reader import ReportedBuild, ReportedScript, sensitive_because
from buildperm.rules.pattern import locate
from buildperm.tracer.notation import decode

if TYPE_CHECKING:
    from buildperm.supervisor.session import SessionPackage


def find_packages(
    reported: ReportedBuild,
    packages: Collection[SessionPackage],
    places: Mapping[str, bytes],
    members: Mapping[str, str],
) -> tuple[list[tuple[SessionPackage, ReportedScript]], list[str]]:
    """Find the packages of this workspace that a report is about, with what it says they did.

    Also returns a sentence for each crate that this workspace does not have so. Paths are written
    with the tokens of this machine where they had none of that one.

    Args:
        reported: The report.
        packages: All that take part here, and what they are granted.
        places: What tokens stand for here.
        members: Names of the packages of this workspace, by the keys that their grants have.

    Raises:
        BuildpermError: The report is about another workspace.
    """
    names = set(members.values())
    if reported.members and names and not set(reported.members) & names:
        raise BuildpermError(
            f"{reported.place} is about another workspace: `{reported.workspace}` with the members "
            f"{_listed(reported.members)}; this one has {_listed(sorted(names))}",
            hint="Run the command in a checkout of that workspace.",
        )
    found: list[tuple[SessionPackage, ReportedScript]] = []
    strangers: list[str] = []
    for script in reported.scripts:
        package = _package(script, packages)
        if package is None:
            strangers.append(_stranger(script, packages))
            continue
        accesses = (
            each
            for access in script.accesses
            for each in _told_apart(_relocated(access, places), members)
        )
        found.append((package, replace(script, accesses=tuple(combine([accesses])))))
    if strangers and not found:
        raise BuildpermError(
            f"{reported.place}: nothing in it is about a crate of this workspace: {strangers[0]}",
            hint="Check out the commit that the report was made from.",
        )
    return found, strangers


def _told_apart(access: Access, members: Collection[str]) -> Iterator[Access]:
    """Tell what a macro did for the workspace from what it did for each other package."""
    outside = [
        role
        for role in access.roles
        if role.subject is SubjectKind.MACRO and role.consumer not in members
    ]
    inside = tuple(role for role in access.roles if role not in outside)
    if inside:
        yield replace(access, roles=inside)
    for role in outside:
        yield replace(access, roles=(role,), outside=role.consumer)


def _package(script: ReportedScript, packages: Collection[SessionPackage]) -> SessionPackage | None:
    wanted = script.name, script.version, script.source
    fitting = [
        package
        for package in packages
        if (package["name"], package["version"], package["source"]) == wanted
    ]
    if len(fitting) > 1:  # Packages of one name in several folders.
        fitting = [package for package in fitting if package["crate"] == script.crate]
    return fitting[0] if len(fitting) == 1 else None


def _stranger(script: ReportedScript, packages: Collection[SessionPackage]) -> str:
    versions = sorted(package["version"] for package in packages if package["name"] == script.name)
    who = f"`{script.name} {script.version}`"
    if versions and script.version not in versions:
        return f"{who} is here in version {_listed(versions)}"
    return f"{who} from another source is here" if versions else f"{who} is not here"


def _relocated(access: Access, places: Mapping[str, bytes]) -> Access:
    if not access.target.startswith("/"):
        return access
    target = locate(decode(access.target), places)
    return replace(access, target=target, sensitive=sensitive_because(access.kind, target))


def _listed(names: Collection[str]) -> str:
    most = 5
    shown = [f"`{name}`" for name in list(names)[:most]]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown) + more
