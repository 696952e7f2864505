"""Whether two packages may write the same place, whatever it is called in Cargo.toml.

`$MANIFEST_DIR` of one package is `$WORKSPACE/NAME` of another, and links lead anywhere; so this
compares what the tokens stand for, package by package; `policy.write_conflicts` compares text.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from buildperm.cargo.grant_keys import GrantKeys
from buildperm.errors import BuildpermError
from buildperm.policy.kinds import Kind
from buildperm.policy.manifest import table_path
from buildperm.policy.manifest_reader import dotted
from buildperm.policy.write_conflicts import Area, Claim, area, conflict
from buildperm.rules.containment import Containment
from buildperm.rules.pattern import absolute, locate
from buildperm.rules.shared_output import root
from buildperm.tracer.notation import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from buildperm.cargo.project import Project
    from buildperm.policy.grants import Policy
    from buildperm.policy.rule import Rule


def check(
    project: Project, policy: Policy, places: Mapping[str, bytes], document: Mapping[str, Any]
) -> None:
    """Make sure that no two packages may write the same place, unless `shared` declares it.

    Nor may anybody write where Cargo would build a profile or for a target: what a script leaves
    there before that is built for the first time, Cargo takes for its own.

    Args:
        project: Whose packages.
        policy: What they are granted.
        places: What tokens stand for, but for those of a single build.
        document: The Cargo.toml that the grants are from.

    Raises:
        BuildpermError: Two may, or one may write in a profile's folder.
    """
    _refuse_output_folders(project, policy, document)
    claims = list(_claims(project, policy, places))
    shared = [named for each in policy.shared if (named := _real(each, places)) is not None]
    found = conflict(claims, shared)
    if found is not None:
        real = found.narrower.area
        both = locate(decode(real.path), places) + ("/**" if real.is_folder else "")
        raise BuildpermError(
            f"{policy.manifest}: `{found.second.key}`: write: {found.what}",
            hint=found.hint(dotted(table_path(document)), both),
        )


def closed(rule: Rule, project: Project, document: Mapping[str, Any]) -> str:
    """Say why nobody may be granted a rule here: Cargo would build in the folder that it names.

    Empty if one may. Folders are compared without regard to case, as some file systems do.
    """
    place = root(rule.pattern) if rule.kind is Kind.WRITE else ""
    if place.count("/") != 1:
        return ""
    return _folders(project, document, place.partition("/")[2].lower())


def _refuse_output_folders(project: Project, policy: Policy, document: Mapping[str, Any]) -> None:
    for key, grants in sorted(policy.crates.items()):
        for rule in sorted(grants.rules):
            reason = closed(rule, project, document)
            if reason:
                raise BuildpermError(
                    f"{policy.manifest}: `{key}`: write: nobody is granted to write "
                    f"`{rule.pattern}` ({reason})",
                    hint="Deny it, or have the crates share a folder of another name.",
                )


def _folders(project: Project, document: Mapping[str, Any], folder: str) -> str:
    """Say what Cargo builds in a folder of the target directory; empty if nothing is known.

    The Cargo book: "Profiles" (in Cargo.toml, in the configuration, by variables of the
    environment), and "Build cache" for targets, whose descriptions are files that anybody names.
    """
    profiles = document.get("profile", {})
    names = {*(profiles if isinstance(profiles, Mapping) else ()), *project.configuration.profiles}
    for name in sorted({*names, *project.arguments.profiles}):
        if name.lower() == folder:
            return f"Cargo builds the profile `{name}` there"
    variable = f"CARGO_PROFILE_{folder.upper().replace('-', '_')}_"
    if any(name.startswith(variable) for name in project.environment):
        return f"Cargo builds the profile `{folder}` there, which the environment sets"
    for target in (*project.arguments.targets, *project.configuration.targets):
        if os.path.basename(target).removesuffix(".json").lower() == folder:
            return f"Cargo builds for the target `{target}` there"
    return ""


def _claims(project: Project, policy: Policy, places: Mapping[str, bytes]) -> Iterator[Claim]:
    if not any(rule.kind is Kind.WRITE for each in policy.crates.values() for rule in each.rules):
        return  # As in nearly every workspace.
    keys = GrantKeys(project.metadata, project.lock, policy, places)
    for package in project.metadata.scripted():
        key, grants = keys.of(package)
        folder = os.fsencode(package.folder)
        who = f"{package.source or encode(folder)}#{package.name}"
        own = {**places, "MANIFEST_DIR": folder}
        for rule in sorted(grants.rules) if grants else ():
            is_claim = rule.kind is Kind.WRITE and not root(rule.pattern)
            real = _real(rule.pattern, own) if is_claim else None
            if real is not None:
                yield Claim(who, key, rule.pattern, real)


def _real(pattern: str, places: Mapping[str, bytes]) -> Area | None:
    """Return what a pattern opens here, links resolved as far as it is there; None if nothing."""
    named = area(pattern)
    path = absolute(named.path, places)
    if path is None or not path.startswith(b"/"):
        return None  # Of a single build, which only its own script writes.
    real = os.path.realpath(path)
    if not Containment(places, ()).holds(pattern, path, real):
        return None  # Nobody gets what a link leads to from there.
    return Area(encode(real), named.is_folder)
