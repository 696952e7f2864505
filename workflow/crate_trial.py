"""What a crate and its dependencies ask for: built and recorded apart from the workspace.

Everything runs under the learning profile, as in `learn`, and without any grant: the baseline is
all that it may do, besides reading and running what is nobody's secret.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm import __version__
from buildperm.cargo.metadata import Package
from buildperm.cargo.project import Project
from buildperm.cargo.toolchain import Toolchain
from buildperm.cargo.trial_workspace import NAME, WantedCrate, trial_workspace
from buildperm.errors import BuildpermError
from buildperm.policy import manifest, proposals
from buildperm.policy.access import Access
from buildperm.policy.grants import Policy
from buildperm.policy.permission_entry import Origin, PermissionEntry, asks_of
from buildperm.policy.proposal import Proposal
from buildperm.policy.role import SubjectKind
from buildperm.presentation import console
from buildperm.presentation.build_viewer import BuildViewer
from buildperm.report.build_failure import BuildFailure
from buildperm.sandbox.selftest import SelfTest
from buildperm.workflow.recording_round import RecordedScript, RecordingRound, record
from buildperm.workflow.workspace import Workspace

if TYPE_CHECKING:
    from buildperm.supervisor.session import SessionPackage

FAILED = "it failed when it was recorded, so that not everything was seen"


@dataclass(frozen=True, slots=True)
class BuiltTrial:
    """What a build of a crate has shown."""

    entries: Mapping[str, PermissionEntry]  # By package ID.
    failure: BuildFailure | None  # None where Cargo succeeded.
    interrupted: bool
    origin: Origin


class CrateTrial:
    """A crate in a workspace of its own: resolved, and built on request."""

    def __init__(self, project: Project, stricter: Policy | None) -> None:
        """Take a resolved workspace.

        Args:
            project: The trial workspace.
            stricter: Grants of the user's workspace: no weaker runtime than that holds the build.
                None where there is no workspace.

        Raises:
            BuildpermError: A file of it cannot be read.
        """
        self.project = project
        path = project.metadata.manifest
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise BuildpermError(f"cannot read `{path}`: {error.strerror}") from error
        self._policy = manifest.read(raw, path)
        if stricter is not None:
            self._policy = replace(self._policy, require=stricter.require, runtime=stricter.runtime)
        self._workspace = Workspace(project, raw, self._policy)

    def root(self, name: str) -> Package:
        """Return the crate that was asked for."""
        metadata = self.project.metadata
        member = metadata.members[0]
        below = [metadata.packages[each] for each in metadata.dependencies[member]]
        return next(each for each in below if each.name.replace("_", "-") == name.replace("_", "-"))

    def packages(self) -> list[Package]:
        """Return what runs code in a build, by name and version."""
        return [each for each in self.project.metadata.reviewed() if each.name != NAME]

    def checksum(self, package: Package) -> str:
        """Return the checksum of a package; empty where it is from no registry."""
        found = self.project.lock.find(package.name, package.version, package.source)
        return found.checksum if found else ""

    def build(self, viewer: BuildViewer, heading: str) -> BuiltTrial:
        """Build and record it.

        Raises:
            BuildpermError: It cannot be built, or cannot be held.
        """
        proof = SelfTest(self._workspace.runtime)
        proof.result()
        recorded = record(
            [self._workspace],
            self._policy,
            tell=console.print_message,
            viewer=viewer,
            heading=heading,
        )
        runtime = recorded.outcomes[0].build.session["runtime"]
        origin = origin_of(self.project.toolchain, runtime, "learning", time.time())
        entries = self._entries(recorded, origin)
        return BuiltTrial(entries, recorded.failure, recorded.interrupted, origin)

    def _entries(self, recorded: RecordingRound, origin: Origin) -> dict[str, PermissionEntry]:
        known = self.project.metadata.packages
        return {
            script.package["id"]: self._entry(script, known[script.package["id"]], origin)
            for script in recorded.scripts
            if script.package["id"] in known and known[script.package["id"]].name != NAME
        }

    def _entry(self, script: RecordedScript, package: Package, origin: Origin) -> PermissionEntry:
        run = script.run
        failure = run.failure
        if not failure and run.failed:
            failure = FAILED
        ran = tuple(kind for kind in SubjectKind if kind in run.subjects)
        return PermissionEntry(
            package.name,
            package.version,
            self.checksum(package),
            ran,
            asks_of(bare_proposals(script.package, script.accesses, script.consumers)),
            failure,
            package.features,
            origin,
        )


def bare_proposals(
    package: SessionPackage, accesses: Iterable[Access], consumers: Collection[str]
) -> list[Proposal]:
    """Make the proposals of a package as if it were granted and denied nothing."""
    return proposals.propose(package["crate"], package["version"], accesses, consumers=consumers)


def origin_of(toolchain: Toolchain, runtime: str, mode: str, seconds: float) -> Origin:
    """Say how something was found out `seconds` after 1970 began."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    return Origin(__version__, moment, toolchain.rustc_version, toolchain.host, runtime, mode)


@contextmanager
def open_trial(
    request: WantedCrate, toolchain: Toolchain, lock: bytes | None, stricter: Policy | None
) -> Iterator[CrateTrial]:
    """Resolve a crate in a workspace of its own, which is removed at the end.

    Raises:
        BuildpermError: There is no such crate, or nowhere to build it.
    """
    environment = dict(os.environ)
    with trial_workspace(request, toolchain, Path.cwd(), environment, lock) as project:
        yield CrateTrial(project, stricter)
