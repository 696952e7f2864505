"""Cargo.lock: which exact packages a workspace uses."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from buildperm.errors import BuildpermError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_VERSIONS = (None, 3, 4)  # Cargo wrote no number before the third.
_COMMIT = re.compile(r"#[0-9a-f]{7,64}\Z")
_ENDING = re.compile(r"[\s#]")


@dataclass(frozen=True, slots=True, order=True)
class PackageIdentity:
    """What makes a package the one that was reviewed: where it is from, and what is in it."""

    name: str
    version: str
    source: str  # Cargo's source string; empty for a path.
    checksum: str  # SHA-256 of the package file; empty for a path or a git repository.


@dataclass(frozen=True, slots=True)
class CargoLock:
    """All packages of a Cargo.lock, whether they are used on this platform or not."""

    packages: tuple[PackageIdentity, ...]
    requirements: Mapping[PackageIdentity, tuple[PackageIdentity, ...]] = field(
        default_factory=dict
    )
    """What each package depends on, on any platform: for members their tests count too."""

    def find(self, name: str, version: str, source: str) -> PackageIdentity | None:
        """Return the package that is meant; None if it is not there."""
        wanted = (name, version, source)
        for identity in self.packages:
            if (identity.name, identity.version, identity.source) == wanted:
                return identity
        return None

    def checksum(self, name: str, version: str, source: str) -> str:
        """Return the checksum of a package; empty for a path or a git repository.

        Raises:
            BuildpermError: The package is from a registry and not listed with its checksum.
        """
        identity = self.find(name, version, source)
        if identity is not None and identity.checksum:
            return identity.checksum
        if source.startswith(("registry+", "sparse+")):
            raise BuildpermError(
                f"Cargo.lock has no checksum for `{name} {version}` from `{source}`",
                hint="Run `cargo generate-lockfile` and look at what changed.",
            )
        return ""


def comparable_source(source: str) -> str:
    """Return Cargo's source string in the form that identities are compared in.

    A Cargo.lock of version 4 encodes the branch of a git repository, `feature%2Fx`, and
    `cargo metadata` does not. A name that holds such signs itself is decoded to the end, as nobody
    can tell which of the two wrote it; what would end the branch or the word stays encoded.
    """
    head, mark, query = source.partition("?")
    if not (mark and source.startswith("git+")):
        return source
    commit = _COMMIT.search(query)
    end = commit.start() if commit else len(query)
    query, rest = query[:end], query[end:]
    while (decoded := unquote(query)) != query:
        query = decoded
    return f"{head}?{_ENDING.sub(lambda found: quote(found[0]), query)}{rest}"


def read(path: Path) -> CargoLock:
    """Read the Cargo.lock at `path`.

    Raises:
        BuildpermError: It is missing, broken, or of a version that is not known.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise BuildpermError(
            f"no `{path}`", hint="Run `cargo generate-lockfile` to make one."
        ) from error
    except OSError as error:
        raise BuildpermError(f"cannot read `{path}`: {error.strerror}") from error
    return parse(raw, path)


def parse(raw: bytes, path: Path) -> CargoLock:
    """Read a whole Cargo.lock; `path` is only used in messages.

    Raises:
        BuildpermError: It is broken, or of a version that is not known.
    """
    try:
        described = tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as error:  # No TOML, or no UTF-8.
        raise BuildpermError(f"`{path}` is broken: {error}") from error
    if described.get("version") not in _VERSIONS:
        raise BuildpermError(
            f"`{path}` is of version {described['version']}, known are those up to 4",
            hint="Delete it and run `cargo generate-lockfile`, or update buildperm.",
        )
    try:
        listed = described.get("package", [])
        if "root" in described:  # The package itself, until 2017.
            listed = [described["root"], *listed]
        beside = described.get("metadata", {})  # Checksums, in the first version.
        packages = tuple(_identity(package, beside) for package in listed)
        return CargoLock(packages, _requirements(packages, listed))
    except (KeyError, TypeError, AttributeError) as error:
        raise BuildpermError(f"`{path}` is broken: a package without {error}") from error


def _requirements(
    packages: Sequence[PackageIdentity], listed: Sequence[Any]
) -> dict[PackageIdentity, tuple[PackageIdentity, ...]]:
    """Find out what is meant by `NAME`, `NAME VERSION` and `NAME VERSION (SOURCE)`."""
    meant: dict[str, list[PackageIdentity]] = {}
    for identity in packages:
        # A package leaves out what is not needed to tell it from others, and the commit. In the
        # first version it leaves out nothing.
        full = f"{identity.name} {identity.version}"
        source = identity.source.rpartition("#")[0] or identity.source
        for written in {identity.name, full, f"{full} ({source})", f"{full} ({identity.source})"}:
            meant.setdefault(written, []).append(identity)
    return {
        identity: tuple(
            found
            for written in package.get("dependencies", ())
            for found in meant.get(_normalized(written), ())
        )
        for identity, package in zip(packages, listed, strict=True)
    }


def _normalized(written: str) -> str:
    """Write a dependency with its source in the plain form."""
    package, bracket, source = written.partition(" (")
    return f"{package} ({comparable_source(source.removesuffix(')'))})" if bracket else written


def _identity(package: Any, beside: Mapping[str, Any]) -> PackageIdentity:  # noqa: ANN401 - TOML
    name, version = str(package["name"]), str(package["version"])
    source = str(package.get("source", ""))
    noted = str(beside.get(f"checksum {name} {version} ({source})", ""))
    return PackageIdentity(
        name=name,
        version=version,
        source=comparable_source(source),
        checksum=str(package.get("checksum", "" if noted == "<none>" else noted)),
    )
