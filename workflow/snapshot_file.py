"""`buildperm.lock` as one command reads and writes it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from buildperm.policy import lock_file
from buildperm.policy.snapshot import Snapshot
from buildperm.policy.snapshots import updated
from buildperm.workflow.workspace import Workspace


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """The snapshots of a workspace, and the bytes that they were read from."""

    path: Path
    raw: bytes | None  # None where there is no file.
    snapshots: Mapping[tuple[str, str], Snapshot]  # By crate and version.

    def noted_anew(
        self, reviewed: Iterable[Snapshot], present: Collection[tuple[str, str]]
    ) -> list[tuple[str, str]]:
        """Return the crates of which `with_reviewed` would write something new, in order."""
        after = updated(self.snapshots, reviewed, present)
        return sorted(key for key, said in after.items() if self.snapshots.get(key) != said)

    def with_reviewed(
        self, reviewed: Iterable[Snapshot], present: Collection[tuple[str, str]]
    ) -> SnapshotFile:
        """Write what counts as reviewed now; return the file as written.

        Args:
            reviewed: Snapshots of the build scripts with nothing left to decide.
            present: Crate and version of every package with a build script that is there now.

        Raises:
            BuildpermError: The file was changed meanwhile, or cannot be written.
        """
        # A file without build scripts says that there were none, so the first one counts as new.
        after = updated(self.snapshots, reviewed, present)
        lock_file.write(self.path, self.raw, lock_file.text(after))
        return SnapshotFile(self.path, lock_file.content(self.path), after)


def open_snapshots(workspace: Workspace) -> SnapshotFile:
    """Read the snapshots of `workspace`.

    Raises:
        BuildpermError: The file cannot be read.
    """
    path = workspace.project.metadata.root / lock_file.NAME
    raw = lock_file.content(path)
    return SnapshotFile(path, raw, {} if raw is None else lock_file.parse(raw, path))
