"""Which key of the grant table each package of a workspace goes by."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from buildperm.cargo import package_folder
from buildperm.cargo.toolchain import home
from buildperm.cargo.young_packages import YoungPackages
from buildperm.policy.grants import (
    CRATES_IO,
    CrateGrants,
    key_for,
    matching,
    parse_key,
    with_imported,
)
from buildperm.rules import repository
from buildperm.rules.pattern import locate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from buildperm.cargo.lock import CargoLock
    from buildperm.cargo.metadata import Metadata, Package
    from buildperm.cargo.toolchain import Toolchain
    from buildperm.policy.cooldown import Youth
    from buildperm.policy.grants import Policy


class GrantKeys:
    """The keys of one workspace's grant table, found by package."""

    def __init__(
        self, metadata: Metadata, lock: CargoLock, policy: Policy, places: Mapping[str, bytes]
    ) -> None:
        """Prepare to ask about many packages; `places` are those of `places`."""
        self._members = frozenset(metadata.members)
        self._twins = {each.name for each in lock.packages if each.source in CRATES_IO}
        self._places = places
        self._by_name = _by_name(policy, policy.crates)
        self._imports = [(each, _by_name(policy, each.crates)) for each in policy.imports]
        self._without = replace(policy, crates={})
        self._limits = policy.crate_limits
        self._ages = YoungPackages(policy.min_age, lock, places)
        self._excepted = policy.young
        self._limited = replace(
            policy, crates={key: CrateGrants(key) for key in policy.crate_limits}
        )

    def of(self, package: Package) -> tuple[str, CrateGrants | None]:
        """Return the key that the package goes by, and what is granted to it.

        Without grants it is the key that new ones would get.
        """
        grants = self._matching(self._by_name.get(package.name, self._without), package)
        key = grants.key if grants else self._new_key(package)
        grants = with_imported(
            grants,
            key,
            (
                (each, self._matching(by_name[package.name], package))
                for each, by_name in self._imports
                if package.name in by_name
            ),
        )
        if grants is not None:
            youth = self.youth(package)
            return key, replace(grants, young=youth.clause) if youth else grants
        return key, None

    def _new_key(self, package: Package) -> str:
        return key_for(
            package.name,
            package.source,
            self._directory(package),
            is_workspace_member=package.id in self._members,
            has_registry_twin=package.name in self._twins,
        )

    def youth(self, package: Package) -> Youth | None:
        """Return why the package is held to the baseline as too young; None if it is not."""
        found = self._ages.of(package)
        return None if found and self.is_meant(package, self._excepted) else found

    def told_of_young(self, packages: Iterable[Package]) -> list[str]:
        """Say which of some packages are too young, each in one line."""
        return [sentence for _, sentence in self.young(packages)]

    def young(self, packages: Iterable[Package]) -> list[tuple[Youth, str]]:
        """Return which of some packages are too young, and a line about each."""
        found = {each: None for package in packages if (each := self.youth(package))}
        return [(each, each.sentence(self._ages.now)) for each in found]

    def limits_of(self, package: Package) -> Mapping[str, int]:
        """Return the limits that the package has of its own: those under the closest key."""
        if not self._limits:
            return {}
        found = self._matching(self._limited, package)
        return self._limits[found.key] if found else {}

    def is_meant(self, package: Package, keys: Collection[str]) -> bool:
        """Tell whether one of some keys means the package."""
        crates = {key: CrateGrants(key) for key in keys if parse_key(key).name == package.name}
        return (
            bool(crates)
            and self._matching(replace(self._without, crates=crates), package) is not None
        )

    def _matching(self, policy: Policy, package: Package) -> CrateGrants | None:
        return matching(
            policy,
            package.name,
            package.version,
            package.source,
            package.id in self._members,
            package.name in self._twins,
            self._directory(package),
            locate(os.fsencode(package.folder), self._places),
        )

    def _directory(self, package: Package) -> str:
        return package_folder.portable(os.fsencode(package.folder), self._places)


def _by_name(policy: Policy, tables: Mapping[str, CrateGrants]) -> dict[str, Policy]:
    crates: dict[str, dict[str, CrateGrants]] = {}
    for key, grants in tables.items():
        crates.setdefault(parse_key(key).name, {})[key] = grants
    return {name: replace(policy, crates=found) for name, found in crates.items()}


def places(
    metadata: Metadata, toolchain: Toolchain, environment: Mapping[str, str]
) -> dict[str, bytes]:
    """Return what the tokens of portable paths stand for, except those of a single build."""
    folders = {
        "WORKSPACE": metadata.root,
        "CARGO_HOME": toolchain.cargo_home,
        "SYSROOT": toolchain.sysroot,
        "HOME": home(environment),
    }
    found = {token: os.fsencode(folder.resolve()) for token, folder in folders.items()}
    git = repository.common(found["WORKSPACE"])
    return found | ({"GIT": git} if git else {})
