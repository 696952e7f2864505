"""Comparisons: how what runs of a crate differs from its last reviewed version."""

from __future__ import annotations

from dataclasses import dataclass

from buildperm.policy.role import SubjectKind
from buildperm.policy.snapshot import SeenAccess


@dataclass(frozen=True, slots=True)
class SourceChange:
    """One file that a build script is compiled from, before and after."""

    name: str  # Portable path, in notation.
    before: bytes | None  # None where there was none.
    after: bytes | None  # None where it is gone.


@dataclass(frozen=True, slots=True)
class Comparison:
    """One crate in one version beside its last reviewed one."""

    crate: str  # Key in Cargo.toml.
    version: str
    before: str  # The version that was reviewed last; empty if there is none.
    way: tuple[str, ...]  # How the crate got into the graph, from a workspace member on.
    causes: tuple[str, ...]  # Why it was looked at again, in notation: `cc 1.2.3 -> 1.2.4`.
    new: tuple[SeenAccess, ...]
    gone: tuple[SeenAccess, ...]
    same: tuple[SeenAccess, ...]
    sources: tuple[SourceChange, ...] = ()  # Only the files that differ.
    without_sources: str = ""  # Why they cannot be compared; empty if they can.
    subjects: tuple[SubjectKind, ...] = (SubjectKind.SCRIPT,)  # What of it ran now; never empty.
