"""What every command has to know first: the project and its grants."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from buildperm.cargo.project import Project, open_project
from buildperm.errors import BuildpermError
from buildperm.policy import manifest
from buildperm.policy.grants import Policy


@dataclass(frozen=True, slots=True)
class Workspace:
    """A Cargo workspace as one command finds it."""

    project: Project
    manifest: bytes  # The Cargo.toml that holds the grants, as it was read.
    policy: Policy

    @property
    def manifest_path(self) -> Path:
        """Return where the grants are kept."""
        return self.project.metadata.manifest

    def check_manifest(self, expected: bytes) -> None:
        """Make sure that Cargo.toml still is what this command last knew it to be.

        Raises:
            BuildpermError: It is not, or cannot be read.
        """
        if _read(self.manifest_path) != expected:
            raise BuildpermError(
                f"{self.manifest_path} was changed meanwhile; nothing has been written",
                hint="Run the command again: the decisions are kept.",
            )


def open_workspace(words: Sequence[str], *, default: Sequence[str]) -> Workspace:
    """Find out everything about the workspace that the words for Cargo are about.

    Raises:
        BuildpermError: There is no Cargo, no workspace, or something in it is broken.
    """
    project = open_project(words, _here(), dict(os.environ), default=default)
    raw = _read(project.metadata.manifest)
    return Workspace(project, raw, manifest.read(raw, project.metadata.manifest))


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise BuildpermError(
            f"the current folder cannot be used: {error.strerror}",
            hint="Change to the folder of a Cargo workspace.",
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BuildpermError(f"cannot read {path}: {error.strerror}") from error
