"""What the workspace in the current folder has already of what a crate would bring."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from buildperm.cargo.metadata import Package
from buildperm.errors import BuildpermError
from buildperm.policy.compilation import EffectiveGrants, effective
from buildperm.policy.grants import CrateGrants, Policy, matching
from buildperm.policy.permission_entry import Ask, PermissionEntry
from buildperm.policy.presets import PRESETS
from buildperm.workflow.workspace import Workspace, open_contexts


@dataclass(frozen=True, slots=True)
class OwnPackages:
    """A workspace, as far as it matters for what would be added."""

    workspace: Workspace
    lock: bytes | None  # Its Cargo.lock.

    @property
    def policy(self) -> Policy:
        """Return its grants."""
        return self.workspace.policy

    @property
    def replacements(self) -> tuple[str, ...]:
        """Return which tables of its Cargo.toml put other crates in the place of published ones.

        The Cargo book, "Overriding Dependencies": they are read from the root alone.
        """
        root = tomllib.loads(self.workspace.manifest.decode())
        return tuple(name for name in ("patch", "replace") if root.get(name))

    def versions(self, package: Package) -> tuple[str, ...]:
        """Return the versions of a package that it has."""
        return tuple(
            sorted(
                each.version
                for each in self.workspace.project.lock.packages
                if (each.name, each.source) == (package.name, package.source)
            )
        )

    def grants(self, package: Package) -> CrateGrants | None:
        """Return what it grants to a package, in whatever version; None where it says nothing."""
        return matching(self.policy, package.name, package.version, package.source, False, False)

    def open_asks(self, package: Package, entry: PermissionEntry) -> tuple[Ask, ...]:
        """Return what would have to be decided: what no grant and no denial in force is about."""
        grants = self.grants(package)
        found: EffectiveGrants = effective(grants, package.revision)
        presets = [
            name
            for name in (grants.presets if grants else ())
            if frozenset(PRESETS[name].rules) <= found.rules
        ]
        rules = found.rules | found.denials
        return tuple(each for each in entry.asks if not each.is_settled(presets, rules))

    def rivals(self, packages: Mapping[str, Package]) -> list[tuple[Package, Package]]:
        """Return what cannot be in one graph with what it has: both claim the same library.

        The Cargo book, "Build Scripts", `links`: no more than one package may.
        """
        claimed = {
            each.links: each
            for each in self.workspace.project.metadata.packages.values()
            if each.links
        }
        return [
            (package, claimed[package.links])
            for package in packages.values()
            if package.links in claimed and _identity(claimed[package.links]) != _identity(package)
        ]


def can_replace(package: Package, rival: Package) -> bool:
    """Tell whether one version may stand for another: Cargo takes them for compatible.

    The Cargo book, "Specifying Dependencies": their first number that is not 0 is the same.
    """
    if (package.name, package.source) != (rival.name, rival.source):
        return False
    return _compatible(package.version) == _compatible(rival.version)


def _compatible(version: str) -> tuple[str, ...]:
    number, _, pre = version.partition("+")[0].partition("-")
    if pre:
        return (version,)
    parts = number.split(".")
    first = next((n for n, part in enumerate(parts) if part != "0"), len(parts) - 1)
    return tuple(parts[: first + 1])


def _identity(package: Package) -> tuple[str, str, str]:
    return package.name, package.version, package.source


def open_own() -> OwnPackages | None:
    """Open the workspace in the current folder; None where there is none.

    Raises:
        BuildpermError: There is one, and something in it is broken.
    """
    if not any((folder / "Cargo.toml").is_file() for folder in _upwards()):
        return None
    # Locked, as nothing of it is to be changed.
    workspace = open_contexts([], locked=True)[0]
    try:
        lock = (workspace.project.metadata.root / "Cargo.lock").read_bytes()
    except OSError:
        lock = None
    return OwnPackages(workspace, lock)


def _upwards() -> tuple[Path, ...]:
    try:
        folder = Path(os.getcwd())
    except OSError as error:
        raise BuildpermError(
            f"the current folder cannot be used: {error.strerror}",
            hint="Change to a folder that exists.",
        ) from error
    return (folder, *folder.parents)
