"""`buildperm check`: without building, whether every build script is as it was reviewed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from buildperm.cargo.pending_search import combined, pending, stale
from buildperm.cli import options
from buildperm.errors import ExitCode
from buildperm.policy import lock_file
from buildperm.presentation.wording import printable
from buildperm.report import findings
from buildperm.report.finding import Report
from buildperm.report.manifest_place import GrantLines, in_repository
from buildperm.report.text import count
from buildperm.workflow import grant_comparison as comparison
from buildperm.workflow.grant_comparison import ComparedGrants
from buildperm.workflow.report_files import Outputs
from buildperm.workflow.snapshot_file import SnapshotFile, open_snapshots
from buildperm.workflow.workspace import Workspace, open_contexts

_NAMED_MOST = 5


@click.command("check")
@options.reporting
@options.comparing
@options.CARGO
def command(
    *,
    form: str | None,
    reports: tuple[str, ...],
    against: str | None,
    allow_wider: bool,
    cargo: tuple[str, ...],
) -> int:
    """Without building anything, say whether every build script is as it was reviewed.

    Compares Cargo.lock, Cargo.toml and the sources of the workspace with buildperm.lock: build
    scripts that are new, that changed, whose build-dependencies or features changed, that were
    never recorded in a context which Cargo.toml declares, and what they were seen doing that is
    not granted. Nothing is built, and no file but a report is written, so it fits a pre-commit hook
    and the first step of a CI job.

    Without words after `--` it looks at all that `contexts` in Cargo.toml lists, else at
    `cargo check --keep-going`.

    A pull request can bring its own grants along, and say that they are reviewed. With --against
    the grants are compared with those of another commit, or rather with where the branch left it:
    what may be done now that might not be done there, by whom, and for what reason. What counts as
    reviewed since is listed, too, and lets nothing fail: it grants nothing.

    Exit code: 0 every build script is as it was reviewed, 21 some are not, or the grants are wider
    than in the commit of --against; 2 there is no such commit, its name means
    several, or its grants cannot be read.
    """
    outputs = Outputs(form, reports)
    workspaces = open_contexts(cargo, locked=True)
    first = workspaces[0]
    snapshots = open_snapshots(first)
    root = first.project.metadata.root
    outputs.check((first.manifest_path, root / "Cargo.lock", snapshots.path))
    compared = comparison.compare(first, snapshots, against, allow_wider=allow_wider)
    fails = compared.fails(allow_wider=allow_wider)
    report = _report(workspaces, snapshots, compared, fails=fails)
    outputs.write(report)
    for line in (*_closing(workspaces, snapshots, report), *compared.notes):
        click.echo(printable(line), err=True)
    return report.exit_code


def _report(
    workspaces: Sequence[Workspace],
    snapshots: SnapshotFile,
    compared: ComparedGrants,
    *,
    fails: bool,
) -> Report:
    first = workspaces[0]
    found = combined(pending(each.project, each.policy, snapshots.snapshots) for each in workspaces)
    metadata = first.project.metadata
    places = GrantLines(first.manifest, first.manifest_path)
    return Report(
        run=None,
        findings=(*findings.of_pending(found, places), *compared.findings),
        workspace=first.name,
        manifest=in_repository(first.manifest_path),
        exit_code=ExitCode.NOT_REVIEWED if found or fails else ExitCode.OK,
        members=metadata.member_names(),
        pending=tuple(found),
    )


def _closing(
    workspaces: Sequence[Workspace], snapshots: SnapshotFile, report: Report
) -> Iterator[str]:
    first = workspaces[0]
    scripts = {package.id for each in workspaces for package in each.project.metadata.scripted()}
    total = count(len(scripts), "build script")
    number = len(report.pending)
    yield f"{number} of {total} to review." if number else f"{total}, as reviewed."
    old = stale([each.project for each in workspaces], first.policy, snapshots.snapshots)
    # What is to be reviewed is compared with its older version, which is kept until then.
    compared = {each.crate for each in report.pending}
    names = [" ".join(each) for each in old.snapshots if each[0] not in compared]
    if names:
        yield f"note: {lock_file.NAME} keeps what Cargo.lock has no more: {_listed(names)}"
    if old.grants:
        yield f"note: {first.manifest_path.name} grants something to nobody: {_listed(old.grants)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED_MOST} more" if len(names) > _NAMED_MOST else ""
    return f"{', '.join(names[:_NAMED_MOST])}{more}"
