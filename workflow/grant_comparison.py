"""`--against COMMIT`: what the grants allow that they did not allow in another commit, if asked."""

from __future__ import annotations

from dataclasses import dataclass

from buildperm.report.finding import Finding, Level
from buildperm.workflow.snapshot_file import SnapshotFile
from buildperm.workflow.workspace import Workspace


@dataclass(frozen=True, slots=True)
class GrantComparison:
    """The grants of a workspace beside those of another commit."""

    findings: tuple[Finding, ...]
    is_wider: bool
    notes: tuple[str, ...]  # For standard error.

    def fails(self, *, allow_wider: bool) -> bool:
        """Tell whether it makes the command fail."""
        return self.is_wider and not allow_wider


NOT_COMPARED = GrantComparison((), is_wider=False, notes=())
"""What comes of it where nobody asks."""


def compare(
    workspace: Workspace,
    snapshots: SnapshotFile,
    against: str | None,
    *,
    allow_wider: bool,
    is_warning: bool = False,
) -> GrantComparison:
    """Compare the grants of `workspace` with those of the commit `against`, if there is one.

    Args:
        workspace: As it is in the folder, committed or not.
        snapshots: Its buildperm.lock.
        against: The name of a commit, or None.
        allow_wider: Wider grants are only a warning.
        is_warning: Everything is only a warning.

    Raises:
        BuildpermError: There is no such commit, or what was granted in it cannot be read.
    """
    if against is None:
        return NOT_COMPARED
    from buildperm.workflow.commit_comparison import compared  # Only now: mostly nobody asks.

    level = Level.WARNING if allow_wider or is_warning else Level.ERROR
    return compared(workspace, snapshots, against, level)
