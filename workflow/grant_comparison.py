"""`--against COMMIT`: what the grants allow that they did not allow in another commit."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from buildperm.cargo import lock as locks
from buildperm.cargo import package_origin
from buildperm.cargo.lock import Lock
from buildperm.cargo.project import LEARN
from buildperm.errors import BuildpermError
from buildperm.policy import lock_file, manifest
from buildperm.policy.allowance import exact_paths
from buildperm.policy.grants import CRATES_IO, RUNTIMES, Policy
from buildperm.policy.widening import EVERYBODY, WiderGrant, wider
from buildperm.report.finding import Finding, Level
from buildperm.report.manifest_place import GrantLines
from buildperm.report.text import count
from buildperm.report.widened import of_claimed, of_wider
from buildperm.rules.keyfiles import by_content
from buildperm.rules.pattern import absolute
from buildperm.workflow import base_commit as reference
from buildperm.workflow.base_commit import Reference
from buildperm.workflow.snapshot_file import SnapshotFile
from buildperm.workflow.workspace import Workspace

_MANIFEST = "Cargo.toml"
_LOCK = "Cargo.lock"
_NAMED_MOST = 5


@dataclass(frozen=True, slots=True)
class ComparedGrants:
    """The grants of a workspace beside those of another commit."""

    findings: tuple[Finding, ...]
    is_wider: bool
    notes: tuple[str, ...]  # Lines of talk.

    def fails(self, *, allow_wider: bool) -> bool:
        """Tell whether the command fails because of it."""
        return self.is_wider and not allow_wider


NOTHING = ComparedGrants((), is_wider=False, notes=())
"""What comes of it where nobody asks."""


def compare(
    workspace: Workspace,
    snapshots: SnapshotFile,
    against: str | None,
    *,
    allow_wider: bool,
    is_warning: bool = False,
) -> ComparedGrants:
    """Compare the grants of `workspace` with those of the commit `against`; None for none.

    Args:
        workspace: As it is in the folder, committed or not.
        snapshots: Its buildperm.lock.
        against: The name of a commit.
        allow_wider: What became wider is only a warning.
        is_warning: So is everything.

    Raises:
        BuildpermError: There is no such commit, or what was granted in it cannot be read.
    """
    if against is None:
        return NOTHING
    root = workspace.project.metadata.root
    found = reference.find(root, against)
    known = found.files((_MANIFEST, _LOCK, lock_file.NAME))
    level = Level.WARNING if allow_wider or is_warning else Level.ERROR
    return _GrantComparison(workspace, snapshots, found, known).result(level)


class _GrantComparison:
    """One workspace beside one commit."""

    def __init__(
        self,
        workspace: Workspace,
        snapshots: SnapshotFile,
        reference: Reference,
        known: Mapping[str, bytes],
    ) -> None:
        self._workspace = workspace
        self._snapshots = snapshots
        self._reference = reference
        self._known = known
        self._notes: list[str] = []
        self._was_root = self._is_root()
        self._before = self._policy()
        self._lock = self._locked()

    def result(self, level: Level) -> ComparedGrants:
        project, policy = self._workspace.project, self._workspace.policy
        locked = {
            (each.name, each.version)
            for each in (*project.lock.packages, *(self._lock.packages if self._lock else ()))
        }
        context = shlex.join(LEARN)
        keys = self._keys()
        folders = self._folders(self._lock or project.lock), self._folders(project.lock)
        found = wider(self._before, policy, locked, context, keys, folders)
        if self._lock is not None:
            found += package_origin.elsewhere(project, self._before, policy, self._lock)
        found += self._moved()
        known_already = {(each.key, each.item) for each in found}
        found += (
            each
            for each in self._after_merge(locked, context, keys, folders)
            if (each.key, each.item) not in known_already
        )
        narrower = wider(policy, self._before, locked, context, keys, folders[::-1])
        said = str(self._reference)
        if self._reference.is_base:
            said = f"{said}, where this branch began"
        places = GrantLines(self._workspace.manifest, self._workspace.manifest_path)
        told = [
            *of_wider(found, places, said, level=level),
            *self._claimed(places, said),
        ]
        return ComparedGrants(tuple(told), bool(found), tuple(self._talk(found, narrower, said)))

    def _talk(
        self, found: Sequence[WiderGrant], narrower: Sequence[WiderGrant], said: str
    ) -> Iterator[str]:
        for each in (self._reference.note, *self._notes):
            if each:
                yield f"note: {each}"
        if narrower:
            more = f" and {len(narrower) - _NAMED_MOST} more"
            names = ", ".join(map(str, narrower[:_NAMED_MOST]))
            yield f"narrower: {names}{more if len(narrower) > _NAMED_MOST else ''}"
        number = f"wider in {count(len(found), 'place')}" if found else "not wider"
        yield f"Grants compared with {said}: {number}."

    def _folders(self, lock: Lock) -> frozenset[str]:
        """Return the members that go by a plain key with that Cargo.lock."""
        metadata = self._workspace.project.metadata
        members = {metadata.packages[each].name for each in metadata.members}
        folders = {each.name for each in lock.packages if not each.source}
        twins = {each.name for each in lock.packages if each.source in CRATES_IO}
        return frozenset(members & folders - twins)

    def _keys(self) -> frozenset[str]:
        """Return the paths granted by name that lead to a key here, which no wildcard opens."""
        tables = (*self._before.crates.values(), *self._workspace.policy.crates.values())
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
        """Tell what a merge would grant that was taken back since this branch began.

        A branch that writes it down a second time, elsewhere, is not wider than its base.
        """
        both = self._reference.merged(_MANIFEST, self._workspace.manifest)
        if both is None:
            return
        place = self._place(_MANIFEST)
        try:
            merged, theirs = (manifest.policy(*manifest.parse(raw, place), place) for raw in both)
        except BuildpermError as error:
            self._notes.append(f"{error.args[0]}: what a merge would grant is not compared")
            return
        for each in wider(theirs, merged, locked, context, keys, folders):
            what = f"{each.what}, once it is merged: it was taken back meanwhile"
            yield replace(each, what=what)

    def _policy(self) -> Policy:
        """Read what was granted; nothing where there was no Cargo.toml."""
        raw, place = self._known.get(_MANIFEST), self._place(_MANIFEST)
        nothing = Policy(RUNTIMES[0], MappingProxyType({}), place)
        if raw is None:
            self._notes.append(f"there is no {place}: everything that is granted is new")
            return nothing
        if not self._was_root:
            self._notes.append(
                f"{place} belonged to another workspace: what it granted was not in force"
            )
            return nothing
        with _there(place):
            return manifest.policy(*manifest.parse(raw, place), place)

    def _locked(self) -> Lock | None:
        raw, place = self._known.get(_LOCK), self._place(_LOCK)
        if raw is None:
            self._notes.append(f"there is no {place}: where packages came from is not compared")
            return None
        with _there(place):
            return locks.parsed(raw, place)

    def _claimed(self, places: GrantLines, said: str) -> Iterator[Finding]:
        """Tell what counts as reviewed since; it grants nothing, so that nothing fails by it."""
        raw, place = self._known.get(lock_file.NAME), self._place(lock_file.NAME)
        if raw is None:
            self._notes.append(f"there is no {place}: all that counts as reviewed is new")
            return
        try:
            before = lock_file.parsed(raw, place)
        except BuildpermError as error:
            self._notes.append(f"{error.args[0]}: what counts as reviewed since is not listed")
            return
        yield from of_claimed(before, self._snapshots.snapshots, places, said)

    def _place(self, name: str) -> Path:
        return self._reference.place(self._reference.prefix + name.encode())

    def _moved(self) -> Iterator[WiderGrant]:
        """Tell of grants that stood in another file and are not in force there any more.

        What they required and limited cannot be compared, as it was for another workspace. Where
        this Cargo.toml had grants in force, it is looked for those around what was taken in.
        """
        raw = self._known.get(_MANIFEST)
        had = raw is not None and self._was_root and _table(raw)
        own = self._reference.prefix + _MANIFEST.encode()
        top = Path(os.path.realpath(self._reference.folder))
        for _ in range(self._reference.prefix.count(b"/")):
            top = top.parent
        for path, content in sorted(self._reference.manifests().items()):
            if path == own or not _table(content):
                continue
            if had and not self._took_from((top / os.fsdecode(path)).parent):
                continue
            try:
                now = (top / os.fsdecode(path)).read_bytes()
            except OSError:
                now = b""
            if not _table(now) or _root(now) != _root(content):
                what = f"had grants in {self._reference.place(path)}, which cannot be compared"
                item = f"root {path.decode('utf-8', 'replace')}"
                yield WiderGrant(EVERYBODY, item, what, (), None, ())

    def _took_from(self, folder: Path) -> bool:
        """Tell whether a member that lies elsewhere than the workspace lies in `folder`."""
        metadata = self._workspace.project.metadata
        root = Path(os.path.realpath(metadata.root))
        members = (metadata.packages[each].folder for each in metadata.members)
        real = (Path(os.path.realpath(each)) for each in members)
        return any(each.is_relative_to(folder) and not each.is_relative_to(root) for each in real)

    def _is_root(self) -> bool:
        """Tell whether Cargo.toml was the root of a workspace there, as Cargo looks for it.

        Of what is none the grants are not in force: whatever it says may have come in unnoticed.
        """
        raw = self._known.get(_MANIFEST)
        if raw is None or not _table(raw) or "workspace" in _document(raw):
            return True
        if _root(raw) is not None:
            return False
        for content, way in self._reference.above():
            workspace = _document(content).get("workspace")
            if isinstance(workspace, dict) and not _is_excluded(workspace, os.fsdecode(way)):
                return False
        return True


@contextmanager
def _there(place: Path) -> Iterator[None]:
    """Say of what is wrong that it is so in the other commit, where nothing can be mended.

    Raises:
        BuildpermError: Something is.
    """
    try:
        yield
    except BuildpermError as error:
        raise BuildpermError(
            f"{error.args[0]}; so the grants cannot be compared with `{place}`",
            hint="Mend it there first, or look at what changes in the grants by yourself and leave "
            "out `--against`.",
        ) from error


def _table(raw: bytes) -> object:
    """Return the grant table of a Cargo.toml; None where it has none."""
    document = _document(raw)
    table: Any = document
    for key in manifest.table_path(document):
        table = table.get(key) if isinstance(table, dict) else None
    return table or None


def _root(raw: bytes) -> object:
    """Return the workspace that a Cargo.toml says to belong to; None where it says nothing."""
    package = _document(raw).get("package")
    return package.get("workspace") if isinstance(package, dict) else None


def _is_excluded(workspace: dict[str, Any], way: str) -> bool:
    """Tell whether a workspace leaves out the package in `way`: Cargo book, "members"."""
    path = PurePosixPath(way)
    members = (PurePosixPath(each.strip("/")) for each in _strings(workspace.get("members")))
    named = [each for each in members if each.parts and path.match(str(each))]
    left = (PurePosixPath(os.path.normpath(each)) for each in _strings(workspace.get("exclude")))
    return not named and any(path.is_relative_to(each) for each in left)


def _strings(listed: object) -> list[str]:
    return [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []


def _document(raw: bytes) -> dict[str, Any]:
    try:
        return manifest.parse(raw, Path(_MANIFEST))[1]
    except BuildpermError:
        return {}
