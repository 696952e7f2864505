"""What `check` does: without a build, whether everything that runs is as it was reviewed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from buildperm.cargo.pending_search import combined, pending, stale, subjects_of
from buildperm.errors import ExitCode
from buildperm.policy import lock_file
from buildperm.presentation import console
from buildperm.report import findings, next_command
from buildperm.report.finding import Report
from buildperm.report.manifest_place import GrantLines, in_repository
from buildperm.report.text import subject_tally, to_review
from buildperm.workflow.grant_comparison import GrantComparison, compare
from buildperm.workflow.report_outputs import ReportOutputs
from buildperm.workflow.snapshot_file import SnapshotFile, open_snapshots
from buildperm.workflow.workspace import Workspace, open_contexts

_NAMED_MOST = 5


def check(
    words: Sequence[str], outputs: ReportOutputs, *, against: str | None, allow_wider: bool
) -> int:
    """Compare the workspace with what was reviewed, and report; return the exit code.

    Args:
        words: For Cargo.
        outputs: Where the reports go.
        against: The commit with which the grants are compared; None for none.
        allow_wider: Wider grants are only a warning.

    Raises:
        BuildpermError: Something in the workspace is broken, or a report cannot be written.
    """
    workspaces = open_contexts(words, locked=True)
    first = workspaces[0]
    snapshots = open_snapshots(first)
    root = first.project.metadata.root
    outputs.check((first.manifest_path, root / "Cargo.lock", snapshots.path))
    compared = compare(first, snapshots, against, allow_wider=allow_wider)
    fails = compared.fails(allow_wider=allow_wider)
    report = _report(workspaces, snapshots, compared, words, fails=fails)
    outputs.write(report)
    closing = _closing(workspaces, snapshots, report, is_told=outputs.has_prose)
    young = (
        ()
        if outputs.has_prose
        else dict.fromkeys(line for each in workspaces for line in each.young())
    )
    for line in (*closing, *compared.notes, *young):
        console.print_message(line)
    return report.exit_code


def _report(
    workspaces: Sequence[Workspace],
    snapshots: SnapshotFile,
    compared: GrantComparison,
    words: Sequence[str],
    *,
    fails: bool,
) -> Report:
    first = workspaces[0]
    found = combined(pending(each.project, each.policy, snapshots.snapshots) for each in workspaces)
    metadata = first.project.metadata
    places = GrantLines(first.manifest, first.manifest_path)
    return Report(
        run=None,
        findings=(
            *findings.from_pending(found, places, command=next_command.review(words)),
            *compared.findings,
            *findings.from_young(
                dict.fromkeys(each for one in workspaces for each in one.young_packages()), places
            ),
        ),
        workspace=first.name,
        manifest=in_repository(first.manifest_path),
        exit_code=ExitCode.NOT_REVIEWED if found or fails else ExitCode.OK,
        members=metadata.member_names(),
        pending=tuple(found),
        total=_total(workspaces),
    )


def _total(workspaces: Sequence[Workspace]) -> str:
    """Count all that there is to review."""
    subjects = {
        package.id: subjects_of(package, each.policy, replaced)
        for each in workspaces
        for replaced in (each.project.replaced,)
        for package in each.project.metadata.reviewed()
    }
    return subject_tally(filter(None, subjects.values()))


def _closing(
    workspaces: Sequence[Workspace], snapshots: SnapshotFile, report: Report, *, is_told: bool
) -> Iterator[str]:
    """Say how it stands; `is_told` is whether the report has just said it to people."""
    first = workspaces[0]
    if not report.pending:
        yield f"{report.total}, as reviewed."
    elif not is_told:
        yield f"{to_review(report.pending, report.total)}."
    old = stale([each.project for each in workspaces], first.policy, snapshots.snapshots)
    # The next review compares with the older version, which is kept until then.
    compared = {each.crate for each in report.pending}
    names = [" ".join(each) for each in old.snapshots if each[0] not in compared]
    if names:
        yield f"note: {lock_file.NAME} keeps what Cargo.lock no longer has: {_listed(names)}"
    if old.grants:
        yield f"note: {first.manifest_path.name} grants something to nobody: {_listed(old.grants)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED_MOST} more" if len(names) > _NAMED_MOST else ""
    return f"{', '.join(names[:_NAMED_MOST])}{more}"
