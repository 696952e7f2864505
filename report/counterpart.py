"""Finds the build scripts of this workspace that a report from elsewhere is about."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from buildperm.errors import BuildpermError
from buildperm.policy.access import Access
from buildperm.policy.combination import combine
from buildperm.report.json_reader import ReportedBuild, ReportedScript, sensitive_because
from buildperm.rules.pattern import locate
from buildperm.tracer.notation import decode

if TYPE_CHECKING:
    from buildperm.supervisor.session import Session, SessionPackage


def find_packages(
    reported: ReportedBuild, session: Session, members: Collection[str]
) -> tuple[list[tuple[SessionPackage, ReportedScript]], list[str]]:
    """Find the packages of this workspace that a report is about, with what it says they did.

    Also returns a sentence for each build script that this workspace does not have so. Paths are
    written with the tokens of this machine where they had none of that one.

    Args:
        reported: The report.
        session: Of this workspace: who is granted what.
        members: Names of the packages of this workspace.

    Raises:
        BuildpermError: The report is about another workspace.
    """
    if reported.members and members and not set(reported.members) & set(members):
        raise BuildpermError(
            f"{reported.place} is about another workspace: `{reported.workspace}` with the members "
            f"{_listed(reported.members)}; this one has {_listed(sorted(members))}",
            hint="Run the command in a checkout of that workspace.",
        )
    found: list[tuple[SessionPackage, ReportedScript]] = []
    strangers: list[str] = []
    for script in reported.scripts:
        package = _package(script, session)
        if package is None:
            strangers.append(_stranger(script, session))
            continue
        accesses = (_relocated(access, session) for access in script.accesses)
        found.append((package, replace(script, accesses=tuple(combine([accesses])))))
    if strangers and not found:
        raise BuildpermError(
            f"{reported.place}: nothing in it is about a build script of this workspace: "
            f"{strangers[0]}",
            hint="Check out the commit that the report was made from.",
        )
    return found, strangers


def _package(script: ReportedScript, session: Session) -> SessionPackage | None:
    wanted = script.name, script.version, script.source
    fitting = [
        package
        for package in session["packages"].values()
        if (package["name"], package["version"], package["source"]) == wanted
    ]
    if len(fitting) > 1:  # Packages of one name in several folders.
        fitting = [package for package in fitting if package["crate"] == script.crate]
    return fitting[0] if len(fitting) == 1 else None


def _stranger(script: ReportedScript, session: Session) -> str:
    versions = sorted(
        package["version"]
        for package in session["packages"].values()
        if package["name"] == script.name
    )
    who = f"`{script.name} {script.version}`"
    if versions and script.version not in versions:
        return f"{who} is here in version {_listed(versions)}"
    return f"{who} from another source is here" if versions else f"{who} is not here"


def _relocated(access: Access, session: Session) -> Access:
    if not access.target.startswith("/"):
        return access
    target = locate(decode(access.target), session["places"])
    return replace(access, target=target, sensitive=sensitive_because(access.kind, target))


def _listed(names: Collection[str]) -> str:
    most = 5
    shown = [f"`{name}`" for name in list(names)[:most]]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown) + more
