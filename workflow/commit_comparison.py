"""What the grants of a workspace allow that they did not allow in another commit."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from buildperm.cargo import package_origin
from buildperm.cargo.lock import CargoLock
from buildperm.cargo.project import LEARN
from buildperm.errors import BuildpermError
from buildperm.policy import manifest
from buildperm.policy.allowance import exact_paths
from buildperm.policy.grants import CRATES_IO
from buildperm.policy.widening import WiderGrant, wider
from buildperm.report.finding import Finding, Level
from buildperm.report.manifest_place import GrantLines
from buildperm.report.text import count
from buildperm.report.widened import from_new_reviews, from_wider
from buildperm.rules.keyfiles import by_content
from buildperm.rules.pattern import absolute
from buildperm.workflow import base_commit
from buildperm.workflow.base_commit import BaseCommit
from buildperm.workflow.base_grants import MANIFEST, BaseGrants
from buildperm.workflow.grant_comparison import GrantComparison
from buildperm.workflow.snapshot_file import SnapshotFile
from buildperm.workflow.workspace import Workspace

_NAMED_MOST = 5


def compared(
    workspace: Workspace, snapshots: SnapshotFile, against: str, level: Level
) -> GrantComparison:
    """Compare the grants of `workspace` with those of the commit `against`.

    `level` is that of what has become wider.

    Raises:
        BuildpermError: There is no such commit, or what was granted in it cannot be read.
    """
    commit = base_commit.find(workspace.project.metadata.root, against)
    return _Comparer(workspace, snapshots, commit).result(level)


class _Comparer:
    """One workspace beside one commit."""

    def __init__(
        self,
        workspace: Workspace,
        snapshots: SnapshotFile,
        commit: BaseCommit,
    ) -> None:
        self._workspace = workspace
        self._snapshots = snapshots
        self._commit = commit
        self._base = BaseGrants(commit)

    def result(self, level: Level) -> GrantComparison:
        project, policy = self._workspace.project, self._workspace.policy
        before = self._base.lock
        packages = (*project.lock.packages, *(before.packages if before else ()))
        locked = {(each.name, each.version) for each in packages}
        context = shlex.join(LEARN)
        keys = self._keys()
        folders = self._folders(before or project.lock), self._folders(project.lock)
        found = wider(self._base.policy, policy, locked, context, keys, folders)
        if before is not None:
            found += package_origin.moved_grants(project, self._base.policy, policy, before)
        found += self._base.moved(project.metadata)
        known_already = {(each.key, each.item) for each in found}
        found += (
            each
            for each in self._after_merge(locked, context, keys, folders)
            if (each.key, each.item) not in known_already
        )
        narrower = wider(policy, self._base.policy, locked, context, keys, folders[::-1])
        said = str(self._commit)
        if self._commit.is_base:
            said = f"{said}, where this branch began"
        places = GrantLines(self._workspace.manifest, self._workspace.manifest_path)
        told = [
            *from_wider(found, places, said, level=level),
            *self._claimed(places, said),
        ]
        return GrantComparison(
            tuple(told), bool(found), tuple(self._messages(found, narrower, said))
        )

    def _messages(
        self, found: Sequence[WiderGrant], narrower: Sequence[WiderGrant], said: str
    ) -> Iterator[str]:
        for each in (self._commit.note, *self._base.notes):
            if each:
                yield f"note: {each}"
        if narrower:
            more = f" and {len(narrower) - _NAMED_MOST} more"
            names = ", ".join(map(str, narrower[:_NAMED_MOST]))
            yield f"narrower: {names}{more if len(narrower) > _NAMED_MOST else ''}"
        number = f"wider in {count(len(found), 'place')}" if found else "not wider"
        yield f"Grants compared with {said}: {number}."

    def _folders(self, lock: CargoLock) -> frozenset[str]:
        """Return the members whose key is their plain name with that Cargo.lock."""
        metadata = self._workspace.project.metadata
        members = {metadata.packages[each].name for each in metadata.members}
        folders = {each.name for each in lock.packages if not each.source}
        twins = {each.name for each in lock.packages if each.source in CRATES_IO}
        return frozenset(members & folders - twins)

    def _keys(self) -> frozenset[str]:
        """Return the granted paths that lead to a key file here; no wildcard opens those."""
        tables = (*self._base.policy.crates.values(), *self._workspace.policy.crates.values())
        places = self._workspace.places
        found = ((each, absolute(each, places)) for each in exact_paths(tables))
        return frozenset(
            pattern for pattern, path in found if path and by_content(os.path.realpath(path))
        )

    def _after_merge(
        self,
        locked: Collection[tuple[str, str]],
        context: str,
        keys: Collection[str],
        folders: tuple[Collection[str], Collection[str]],
    ) -> Iterator[WiderGrant]:
        """Yield what a merge would grant again although it was taken back since this branch began.

        A branch that repeats such a grant in another place is not wider than its base.
        """
        both = self._commit.merged(MANIFEST, self._workspace.manifest)
        if both is None:
            return
        place = self._base.place(MANIFEST)
        try:
            merged, theirs = (manifest.policy(*manifest.parse(raw, place), place) for raw in both)
        except BuildpermError as error:
            self._base.notes.append(f"{error.args[0]}: what a merge would grant is not compared")
            return
        for each in wider(theirs, merged, locked, context, keys, folders):
            what = f"{each.what}, once it is merged: it was taken back meanwhile"
            yield replace(each, what=what)

    def _claimed(self, places: GrantLines, said: str) -> Iterator[Finding]:
        """Yield what counts as reviewed since then; it grants nothing, so it lets nothing fail."""
        before = self._base.snapshots()
        if before is not None:
            yield from from_new_reviews(before, self._snapshots.snapshots, places, said)
