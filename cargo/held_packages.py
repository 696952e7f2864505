"""What a session holds each package to: its build script, its macros, and compiling it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from buildperm.cargo import session_maker
from buildperm.cargo.grant_keys import GrantKeys
from buildperm.cargo.macro_consumers import MacroConsumers
from buildperm.errors import BuildpermError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildperm.cargo.project import Project
    from buildperm.policy.grants import Policy
    from buildperm.supervisor.session import Session, SessionPackage


class HeldPackages:
    """The packages of one session; one table of grants serves all that a package has."""

    def __init__(self, project: Project, policy: Policy, session: Session) -> None:
        """Prepare to ask; `session` was made from `project` and `policy`."""
        self._project = project
        self._session = session
        self._keys = GrantKeys(project.metadata, project.lock, policy, session["places"])
        self._described: dict[bytes, SessionPackage] = {}
        self.reach = MacroConsumers(project.metadata, self._keys)
        """For which packages the grants of macros hold."""

    @property
    def members(self) -> Mapping[str, str]:
        """Return the names of the packages of the workspace, by key."""
        return self.reach.members

    def of(self, folder: bytes) -> SessionPackage:
        """Return what is granted to the package with this manifest directory.

        Raises:
            BuildpermError: There is no such package.
        """
        session = self._session
        known = session["packages"].get(folder) or session.get("macros", {}).get(folder)
        known = known or self._described.get(folder)
        if known is None:
            known = self._described[folder] = self._describe(folder)
        return known

    def everything(self) -> dict[bytes, SessionPackage]:
        """Return what is granted to each package of the graph, by manifest directory."""
        folders = (os.fsencode(each.folder) for each in self._project.metadata.packages.values())
        return {folder: self.of(folder) for folder in folders}

    def consumers(self, folder: bytes) -> frozenset[str]:
        """Return the keys of the packages that `for` names to the macros of a package."""
        macros = self._session.get("macros", {}).get(folder)
        known = self._session.get("consumers", {})
        named = macros["for"] if macros else ()
        return frozenset(known[each]["crate"] for each in named if each in known)

    def _describe(self, folder: bytes) -> SessionPackage:
        project = self._project
        for package in project.metadata.packages.values():
            if os.fsencode(package.folder) == folder:
                return session_maker.describe(package, project.metadata, project.lock, self._keys)
        raise BuildpermError(
            f"`{os.fsdecode(folder)}` was compiled, and is not a package of this workspace",
            hint="Run the command again.",
        )
