"""What was granted in another commit, as far as it was in force there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from buildperm.cargo import lock as locks
from buildperm.cargo.lock import CargoLock
from buildperm.cargo.metadata import Metadata
from buildperm.errors import BuildpermError
from buildperm.policy import lock_file, manifest
from buildperm.policy.grants import Policy
from buildperm.policy.runtime_table import WEAKEST
from buildperm.policy.snapshot import Snapshot
from buildperm.policy.widening import EVERYBODY, WiderGrant
from buildperm.workflow.base_commit import BaseCommit

MANIFEST = "Cargo.toml"
_LOCK = "Cargo.lock"


class BaseGrants:
    """The files of one commit that say what is granted."""

    def __init__(self, commit: BaseCommit) -> None:
        """Read them.

        Raises:
            BuildpermError: They cannot be read.
        """
        self._commit = commit
        self._files = commit.files((MANIFEST, _LOCK, lock_file.NAME))
        self.notes: list[str] = []
        """What cannot be compared, and why."""
        self._was_root = self._is_root()
        self.policy = self._policy()
        self.lock = self._locked()
        """None where there was no Cargo.lock."""

    def place(self, name: str) -> Path:
        """Return what messages call a file beside Cargo.toml."""
        return self._commit.place(self._commit.prefix + name.encode())

    def snapshots(self) -> Mapping[tuple[str, str], Snapshot] | None:
        """Return what counted as reviewed; None where it cannot be compared."""
        raw, place = self._files.get(lock_file.NAME), self.place(lock_file.NAME)
        if raw is None:
            self.notes.append(f"there is no {place}: all that counts as reviewed is new")
            return None
        try:
            return lock_file.parse(raw, place)
        except BuildpermError as error:
            self.notes.append(f"{error.args[0]}: what counts as reviewed since is not listed")
            return None

    def moved(self, metadata: Metadata) -> Iterator[WiderGrant]:
        """Yield what had grants in another Cargo.toml that are no longer in force.

        These grants cannot be compared, as they were for another workspace. If this Cargo.toml
        already had grants in force, only the workspaces of members from elsewhere are looked at.
        """
        raw = self._files.get(MANIFEST)
        had = raw is not None and self._was_root and _table(raw)
        own = self._commit.prefix + MANIFEST.encode()
        top = Path(os.path.realpath(self._commit.folder))
        for _ in range(self._commit.prefix.count(b"/")):
            top = top.parent
        for path, content in sorted(self._commit.manifests().items()):
            if path == own or not _table(content):
                continue
            if had and not _has_member_from(metadata, (top / os.fsdecode(path)).parent):
                continue
            try:
                now = (top / os.fsdecode(path)).read_bytes()
            except OSError:
                now = b""
            if not _table(now) or _root(now) != _root(content):
                what = f"had grants in {self._commit.place(path)}, which cannot be compared"
                item = f"root {path.decode('utf-8', 'replace')}"
                yield WiderGrant(EVERYBODY, item, what, (), None, ())

    def _policy(self) -> Policy:
        """Read what was granted; nothing where there was no Cargo.toml."""
        raw, place = self._files.get(MANIFEST), self.place(MANIFEST)
        nothing = Policy(WEAKEST, MappingProxyType({}), place)
        if raw is None:
            self.notes.append(f"there is no {place}: everything that is granted is new")
            return nothing
        if not self._was_root:
            self.notes.append(
                f"{place} belonged to another workspace: what it granted was not in force"
            )
            return nothing
        with _in_other_commit(place):
            return manifest.policy(*manifest.parse(raw, place), place, self._imported)

    def _imported(self, name: str) -> bytes:
        """Read a file of grants as it was.

        Raises:
            OSError: There was none.
        """
        raw = self._commit.files((name,)).get(name)
        if raw is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return raw

    def _locked(self) -> CargoLock | None:
        raw, place = self._files.get(_LOCK), self.place(_LOCK)
        if raw is None:
            self.notes.append(f"there is no {place}: where packages came from is not compared")
            return None
        with _in_other_commit(place):
            return locks.parse(raw, place)

    def _is_root(self) -> bool:
        """Tell whether Cargo.toml was the root of its workspace in that commit, as Cargo finds it.

        Grants in any other file are not in force, so nobody may have noticed what it says.
        """
        raw = self._files.get(MANIFEST)
        if raw is None or not _table(raw) or "workspace" in _document(raw):
            return True
        if _root(raw) is not None:
            return False
        for content, way in self._commit.above():
            workspace = _document(content).get("workspace")
            if isinstance(workspace, dict) and not _is_excluded(workspace, os.fsdecode(way)):
                return False
        return True


def _has_member_from(metadata: Metadata, folder: Path) -> bool:
    """Tell whether a member from outside the workspace folder lies in `folder`."""
    root = Path(os.path.realpath(metadata.root))
    members = (metadata.packages[each].folder for each in metadata.members)
    real = (Path(os.path.realpath(each)) for each in members)
    return any(each.is_relative_to(folder) and not each.is_relative_to(root) for each in real)


@contextmanager
def _in_other_commit(place: Path) -> Iterator[None]:
    """Add to an error that it is about the other commit, which cannot be changed any more.

    Raises:
        BuildpermError: There was an error.
    """
    try:
        yield
    except BuildpermError as error:
        raise BuildpermError(
            f"{error.args[0]}; so the grants cannot be compared with `{place}`",
            hint="Fix it there first, or look at the changed grants yourself and leave out "
            "`--against`.",
        ) from error


def _table(raw: bytes) -> object:
    """Return the grant table of a Cargo.toml; None where it has none."""
    document = _document(raw)
    table: Any = document
    for key in manifest.table_path(document):
        table = table.get(key) if isinstance(table, dict) else None
    return table or None


def _root(raw: bytes) -> object:
    """Return the workspace that a Cargo.toml names as its own; None if it names none."""
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
        return manifest.parse(raw, Path(MANIFEST))[1]
    except BuildpermError:
        return {}
