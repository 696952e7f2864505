"""What a build elsewhere did, as far as its JSON report says, by packages of this workspace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from buildperm.cargo.held_packages import HeldPackages
from buildperm.cargo.supervised_build import SupervisedBuild
from buildperm.policy.access import Access
from buildperm.report import json_reader
from buildperm.report.counterpart import find_packages
from buildperm.workflow.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ReportedAccesses:
    """What a report says, judged anew here."""

    by_package: Mapping[str, tuple[Access, ...]]  # By package ID.
    strangers: tuple[str, ...]  # A sentence for each crate that this workspace does not have so.

    @classmethod
    def read(cls, report: str, workspace: Workspace) -> ReportedAccesses:
        """Read the report at a path, or on standard input for `-`.

        Raises:
            BuildpermError: It cannot be used, or is about another workspace.
        """
        session = SupervisedBuild(workspace.project, workspace.policy, "learning").session
        held = HeldPackages(workspace.project, workspace.policy, session)
        found, strangers = find_packages(
            json_reader.read(report), held.everything().values(), session["places"], held.members
        )
        return cls({package["id"]: script.accesses for package, script in found}, tuple(strangers))
