"""Which packages of a workspace are younger than its `min-age`: see `policy.cooldown`.

Only what comes from a registry and runs something while it is built. A path is the user's own, and
a Git repository is at a commit that Cargo.lock names: risky grants hold for single commits anyway.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import publication, standing_state
from buildperm.cargo.first_sight import FirstSight
from buildperm.policy.cooldown import Youth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildperm.cargo.lock import CargoLock
    from buildperm.cargo.metadata import Package

_REGISTRIES = ("registry+", "sparse+")


class YoungPackages:
    """The packages of one workspace, as old as they are now."""

    def __init__(self, min_age: int, lock: CargoLock, places: Mapping[str, bytes]) -> None:
        """Prepare to ask; `min_age` is in seconds, and nothing is looked at where it is 0."""
        self.now = int(time.time())
        self._min_age = min_age
        self._lock = lock
        self._places = places
        self._first_sight: FirstSight | None = None
        self._known: dict[str, Youth | None] = {}

    def of(self, package: Package) -> Youth | None:
        """Return why a package is too young; None if it is not."""
        if not self._min_age or not package.source.startswith(_REGISTRIES):
            return None
        if not (package.build_scripts or package.has_macros):
            return None
        if package.id not in self._known:
            self._known[package.id] = self._found(package)
        return self._known[package.id]

    def _found(self, package: Package) -> Youth | None:
        identity = self._lock.find(package.name, package.version, package.source)
        checksum = identity.checksum if identity else ""
        name, version = package.name, package.version
        folders = [Path(os.fsdecode(self._places[each])) for each in ("CARGO_HOME", "WORKSPACE")]
        at = publication.published(folders[0], folders[1], name, version, checksum)
        is_published = at is not None
        if at is None:
            if self._first_sight is None:
                self._first_sight = FirstSight(standing_state.folder())
            at = self._first_sight.of(name, version, checksum, self.now)
        until = at + self._min_age
        if at <= self.now and until <= self.now:
            return None
        return Youth(name, version, at, until, is_published)
