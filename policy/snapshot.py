"""Snapshots: what a crate was seen doing when it was reviewed; kept in `buildperm.lock`.

A snapshot grants nothing. It is what a later review and `buildperm check` compare with, and what
makes a change of behaviour visible in the difference of a pull request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from buildperm.policy.access import Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.role import OF_SCRIPT, Role


@dataclass(frozen=True, slots=True, order=True)
class SeenAccess:
    """One access beyond the baseline, in short: the same on every machine."""

    kind: Kind
    target: str  # As in `Access.target`.
    outcome: Outcome


@dataclass(frozen=True, slots=True, order=True)
class Context:
    """What one run was for, and of what; in another context a crate may behave differently."""

    target: str  # Triple.
    profile: str  # Cargo's: debug or release; empty where only a build script is told.
    features: tuple[str, ...]  # Of its package, sorted.
    role: Role = OF_SCRIPT


@dataclass(frozen=True, slots=True)
class SnapshotRun:
    """What was seen in one context."""

    context: Context
    runtime: str
    seen: frozenset[SeenAccess]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What build script and macros were made from; two that are equal were made from the same."""

    checksum: str  # Of the package file; empty for a path or a git repository.
    files: Mapping[str, str]  # SHA-256 by portable path, for a package without checksum or commit.
    build_dependencies: tuple[str, ...]  # The direct ones: `cc 1.2.3`, sorted.
    digest: str  # SHA-256 over all of that and whatever these dependencies depend on.
    macro_dependencies: tuple[str, ...] = ()  # What its macros are built with, if it has any.


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One crate in one version, as it was when it was reviewed."""

    crate: str  # Key in Cargo.toml.
    version: str
    source: str  # Cargo's source string; empty for a path.
    inputs: Inputs
    commands: Mapping[str, tuple[str, ...]]  # Cargo's words to the package's features under them.
    sightings: tuple[SnapshotRun, ...]  # By context; none where it took part in no build.
    unused: frozenset[str] = frozenset()  # Grants not made use of: `exec:perl`, `preset:cc`.
