"""What every command needs first: the project and its grants."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from buildperm.cargo import claim, write_claims
from buildperm.cargo.grant_keys import GrantKeys, places
from buildperm.cargo.project import LEARN, Project, Projects
from buildperm.cargo.session_maker import choose_runtime
from buildperm.errors import BuildpermError, ChangedMeanwhileError
from buildperm.policy import manifest
from buildperm.policy.grants import Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.manifest_reader import dotted
from buildperm.policy.rule import Rule
from buildperm.presentation import console
from buildperm.sandbox.runtime import Runtime
from buildperm.tracer.notation import encode
from buildperm.workflow import head_start


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

    @property
    def name(self) -> str:
        """Return what reports call it, in notation."""
        return encode(os.fsencode(self.project.metadata.root.name))

    @property
    def home(self) -> str:
        """Return the path of the grant table, as TOML writes it."""
        document = manifest.parse(self.manifest, self.manifest_path)[1]
        return dotted(manifest.table_path(document))

    @property
    def places(self) -> dict[str, bytes]:
        """Return what the tokens stand for, except those of a single build."""
        project = self.project
        return places(project.metadata, project.toolchain, project.environment)

    @property
    def runtime(self) -> Runtime:
        """Return the runtime that holds its build scripts.

        Raises:
            CannotEnforceError: This machine cannot do what is required.
        """
        return choose_runtime(self.policy, self.project.environment)

    def young(self) -> list[str]:
        """Say which packages are held to the baseline as too young, each in one line."""
        return [sentence for _, _, sentence in self.young_packages()]

    def young_packages(self) -> list[tuple[str, str, str]]:
        """Return the same with name and version in front of each line."""
        if not self.policy.min_age:
            return []
        project = self.project
        keys = GrantKeys(project.metadata, project.lock, self.policy, self.places)
        found = keys.young(project.metadata.reviewed())
        return [(each.name, each.version, sentence) for each, sentence in found]

    def read(self, raw: bytes) -> Policy:
        """Read what Cargo.toml says, or would say, about these packages.

        Raises:
            BuildpermError: It is broken.
        """
        policy = manifest.read(raw, self.manifest_path)
        document = manifest.parse(raw, self.manifest_path)[1]
        write_claims.check(self.project, policy, self.places, document)
        return policy

    def closed(self, rule: Rule) -> str:
        """Say why nobody is granted what a rule says in this workspace; empty if one can be."""
        if rule.kind is not Kind.WRITE:
            return ""
        document = manifest.parse(self.manifest, self.manifest_path)[1]
        return write_claims.closed(rule, self.project, document)

    def check_manifest(self, expected: bytes) -> None:
        """Make sure that Cargo.toml still has the content that this command last read or wrote.

        Raises:
            BuildpermError: It has changed, or cannot be read.
        """
        if _read(self.manifest_path) != expected:
            raise ChangedMeanwhileError(
                f"{self.manifest_path} was changed meanwhile; nothing has been written",
                hint="Run the command again: the decisions are kept.",
            )


def open_workspace(words: Sequence[str], *, default: Sequence[str]) -> Workspace:
    """Open the workspace that Cargo's arguments select.

    Raises:
        BuildpermError: There is no Cargo, no workspace, or something in it is broken.
    """
    return _open(_projects(), words, default)


def open_contexts(words: Sequence[str], *, locked: bool = False) -> list[Workspace]:
    """Open the workspace in each context: that of `words`, else those that it declares.

    With `locked`, Cargo takes Cargo.lock as it is, and an outdated one is an error.

    Raises:
        BuildpermError: There is no Cargo, no workspace, or something in it is broken.
    """
    projects = _projects(locked=locked)
    first = _open(projects, words, LEARN)
    declared = first.policy.contexts
    if words or not declared:
        return [first]
    return [_open_context(projects, context, first.manifest_path) for context in declared]


def _open_context(projects: Projects, context: str, path: Path) -> Workspace:
    try:
        return _open(projects, shlex.split(context), LEARN)
    except BuildpermError as error:
        raise BuildpermError(
            f"{path}: `contexts` declares `{context}`: {error.args[0]}", hint=error.hint
        ) from error


def _open(projects: Projects, words: Sequence[str], default: Sequence[str]) -> Workspace:
    project = projects.open(words, default=default)
    raw = _read(project.metadata.manifest)
    path = project.metadata.manifest
    found = Workspace(project, raw, manifest.policy(*manifest.parse(raw, path), path))
    found.read(raw)
    put_aside = claim.claim(project.metadata.target_directory)
    if put_aside:
        console.print_warning(put_aside)
    return found


def _projects(*, locked: bool = False) -> Projects:
    try:
        return head_start.projects(locked=locked)
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
