"""What the keys of grant tables can mean: packages that are there today, and those that will be.

One package stands for all of them that no key of the tables tells apart: `every other version`,
`versions 0.9`, `version 0.9.104`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from buildperm.policy.grants import (
    CRATES_IO,
    CrateGrants,
    PackageSpec,
    Policy,
    flattened,
    matching,
    parse_key,
    with_imported,
)

_UNKNOWN = "~"  # What no key can name and no version has; it stands for every other number.
_FOLDER = "path+"
_OF_WORKSPACE = "$WORKSPACE"


@dataclass(frozen=True, slots=True)
class GrantedPackage:
    """A package in one version, or in all versions that are treated alike."""

    name: str
    version: str  # One that stands for them.
    versions: str  # In words.
    source: str  # As Cargo has it; empty for a path.
    directory: str  # Of a path, in portable text; empty for any folder of the workspace.

    @property
    def is_member(self) -> bool:
        """Tell whether it belongs to the workspace: Cargo takes in what lies below its root."""
        token, _, below = self.directory.partition("/")
        is_below = token == _OF_WORKSPACE and below.partition("/")[0] != ".."
        return not self.source and (not self.directory or is_below)

    @property
    def origin(self) -> str:
        """Say where it is from, in words."""
        if self.source in CRATES_IO:
            return "from crates.io"
        return f"from {self.source or self.directory or 'the workspace'}"


class Tables:
    """The grant tables of one policy, looked up by package."""

    def __init__(self, policy: Policy, folders: Collection[str] | None = None) -> None:
        """Prepare to ask.

        Args:
            policy: With the tables.
            folders: Names by which plain keys mean a folder of the workspace; None for all.
        """
        self._folders = folders
        self._empty = replace(policy, crates={})
        self._grants = self._by_name(policy.crates)
        self._imports = [(each, self._by_name(each.crates)) for each in policy.imports]
        self._limits = policy.crate_limits
        self._limited = self._by_name({key: CrateGrants(key) for key in policy.crate_limits})

    def _by_name(self, tables: Mapping[str, CrateGrants]) -> dict[str, Policy]:
        found: dict[str, dict[str, CrateGrants]] = {}
        for key, grants in tables.items():
            found.setdefault(parse_key(key).name, {})[key] = grants
        return {name: replace(self._empty, crates=its) for name, its in found.items()}

    def grants(self, package: GrantedPackage) -> CrateGrants | None:
        """Return what a package is granted and denied; None where no table means it."""
        local = self._of(self._grants, package)
        lent = [(each, self._of(tables, package)) for each, tables in self._imports]
        return flattened(with_imported(local, package.name, lent))

    def limits(self, package: GrantedPackage) -> tuple[str, Mapping[str, int]] | None:
        """Return the limits that a package has of its own, with the key of their table."""
        found = self._of(self._limited, package)
        return (found.key, self._limits[found.key]) if found else None

    def _of(self, tables: Mapping[str, Policy], package: GrantedPackage) -> CrateGrants | None:
        # Only a folder that its own key names can be told from what plain keys mean.
        is_spelled = self._folders is not None and bool(package.directory)
        return matching(
            tables.get(package.name, self._empty),
            package.name,
            package.version,
            package.source,
            package.is_member,
            has_registry_twin=is_spelled and package.name not in (self._folders or ()),
            directory=package.directory,
        )

    def entries(self) -> Iterator[tuple[PackageSpec, frozenset[str]]]:
        """Yield all keys, each with the versions that its table says are reviewed."""
        for tables in (self._grants, self._limited, *(each for _, each in self._imports)):
            for policy in tables.values():
                for key, grants in policy.crates.items():
                    yield parse_key(key), grants.reviewed


def granted_packages(
    sides: Iterable[Tables], locked: Iterable[tuple[str, str]]
) -> Iterator[GrantedPackage]:
    """Yield every package that a key of one of the sides means.

    Args:
        sides: The tables.
        locked: Name and version of the packages in Cargo.lock.
    """
    versions: dict[str, dict[str, str]] = {}
    origins: dict[str, set[tuple[str, str]]] = {}
    for side in sides:
        for spec, reviewed in side.entries():
            known = versions.setdefault(spec.name, dict([_whole("")]))
            known.update([_whole(spec.version)])
            # An entry may name a commit behind the version.
            known.update(_whole(entry.partition("#")[0]) for entry in reviewed)
            origins.setdefault(spec.name, set()).update(_origins(spec))
    for name, version in locked:
        if name in versions:
            versions[name].setdefault(version, f"version {version}")
    for name, known in sorted(versions.items()):
        for source, directory in sorted(origins[name]):
            for version, words in sorted(known.items()):
                yield GrantedPackage(name, version, words, source, directory)


def _origins(spec: PackageSpec) -> Iterator[tuple[str, str]]:
    if spec.source.startswith(_FOLDER):
        yield "", spec.source.removeprefix(_FOLDER)
    elif spec.source:
        yield spec.source, ""
    else:
        yield next(iter(CRATES_IO)), ""
        yield "", ""


def _whole(prefix: str) -> tuple[str, str]:
    """Return a version that begins with `prefix`, and what it stands for in words."""
    if not prefix:
        return ".".join([_UNKNOWN] * 3), "every other version"
    missing = 2 - prefix.count(".")
    if missing <= 0 or not prefix.replace(".", "").isdecimal():
        return prefix, f"version {prefix}"
    return ".".join([prefix, *[_UNKNOWN] * missing]), f"versions {prefix}"
