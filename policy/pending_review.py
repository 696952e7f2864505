"""Pending work: build scripts and macros that were not reviewed as they are now.

It is derived from Cargo.lock and `buildperm.lock` alone, never from what ran last, so that it
cannot get lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from buildperm.policy.role import SubjectKind


class Cause(StrEnum):
    """Why a build script, or what macros a crate has, has to be reviewed."""

    NEW = "new"  # No version of it was ever reviewed.
    VERSION = "version"  # Another version was.
    SOURCE = "source"  # The same version, with other content: checksum, commit or files.
    BUILD_DEPENDENCIES = "build-dependencies"  # Those of macros as well.
    FEATURES = "features"
    CONTEXT = "context"  # It was never recorded in a context that Cargo.toml declares.
    GRANTS = "grants"  # It was seen doing what is not granted any more.


@dataclass(frozen=True, slots=True)
class Pending:
    """One crate that has to be reviewed."""

    crate: str  # Key in Cargo.toml.
    name: str
    version: str
    source: str  # Cargo's source string; empty for a path.
    before: str  # The version that was reviewed last; empty if there is none.
    way: tuple[str, ...]  # How the crate got into the graph, from a workspace member on.
    causes: tuple[tuple[Cause, str], ...]  # Each with a sentence in notation; never empty.
    subjects: tuple[SubjectKind, ...] = (SubjectKind.SCRIPT,)  # What it has.

    @property
    def is_new(self) -> bool:
        """Tell whether it was never reviewed in any version."""
        return any(cause is Cause.NEW for cause, _ in self.causes)
