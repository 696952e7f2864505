"""`buildperm ci`: build with every build script held to its grants, and say what was refused."""

from __future__ import annotations

import sys

import click

from buildperm.cargo.held_build import HeldBuild
from buildperm.cargo.project import CI
from buildperm.cli import options
from buildperm.errors import ExitCode
from buildperm.presentation.wording import printable
from buildperm.sandbox import selftest
from buildperm.workflow import build_outcome as builds
from buildperm.workflow import grant_comparison as comparison
from buildperm.workflow.enforcement import Enforcement
from buildperm.workflow.report_files import Outputs
from buildperm.workflow.snapshot_file import open_snapshots
from buildperm.workflow.workspace import open_workspace


@click.command("ci")
@options.reporting
@click.option(
    "--emit-patch",
    "patch",
    metavar="PATH",
    help="Write a patch of Cargo.toml that proposes what was refused, with the evidence.",
)
@click.option(
    "--require-reviewed",
    is_flag=True,
    help="Build nothing, and fail, where a build script was not reviewed as it is now.",
)
@click.option(
    "--deny-unused",
    is_flag=True,
    help="Fail where neither this build nor any recorded in buildperm.lock uses a grant.",
)
@click.option(
    "--warn",
    is_flag=True,
    help="Only warn: what is not granted is refused, but the exit code is Cargo's own.",
)
@options.comparing
@options.held
@options.CARGO
def command(
    *,
    form: str | None,
    reports: tuple[str, ...],
    patch: str | None,
    require_reviewed: bool,
    deny_unused: bool,
    warn: bool,
    against: str | None,
    allow_wider: bool,
    cargo: tuple[str, ...],
) -> int:
    """Build, holding every build script to its grants. Never asks, never decides.

    Runs `cargo build`, or whatever you write after `--`, in a target directory of its own. What a
    build script was not granted is refused and reported, but for what SECURITY.md lists: who, what,
    through which programs, and what would allow it. Cargo's own output stays as it is. It is told
    to keep going where it can, so that one run shows as much as it can.

    With --against nothing is built where the grants have become wider than in another commit:
    a pull request can bring its own permission along. See `buildperm check --help`.

    Exit code, the first that fits: 2 wrong words or unreadable input; 21 not reviewed, or wider,
    and nothing was built (--require-reviewed, --against); 23 a build script could not be held, or
    it is not known whether one was, or what it did; 130 interrupted; 20 something was refused, or a
    build script was failed; Cargo's own where the build fails for a reason of its own; 22 a grant
    is not used (--deny-unused); 0 fine. With --warn neither 20 nor 21 nor 22.

    All reports are written whatever the exit code, but for 2, 23 and 130.
    """
    outputs = Outputs(form, reports, patch)
    workspace = open_workspace(cargo, default=CI)
    snapshots = open_snapshots(workspace)
    lock = workspace.project.metadata.root / "Cargo.lock"
    outputs.check((workspace.manifest_path, lock, snapshots.path))
    compared = comparison.compare(
        workspace, snapshots, against, allow_wider=allow_wider, is_warning=warn
    )
    for line in compared.notes:
        click.echo(printable(line), err=True)
    enforcement = Enforcement(
        workspace, snapshots.snapshots, is_warning=warn, beside=compared.findings
    )
    stops = require_reviewed and enforcement.require_reviewed()
    if (stops or compared.fails(allow_wider=allow_wider)) and not warn:
        report = enforcement.not_built()
        outputs.write(report)
        return report.exit_code
    selftest.check(workspace.runtime)
    build = HeldBuild(
        workspace.project,
        workspace.policy,
        "enforcing",
        # Standard output is the report's: what Cargo prints there would break the document.
        on_output=_to_standard_error if outputs.is_document else None,
    )
    built = builds.run(build, workspace, workspace.policy)
    if built.finished.interrupted:
        return ExitCode.INTERRUPTED
    report = enforcement.report(built, deny_unused=deny_unused)
    outputs.write(report, enforcement.patch(built) if patch is not None else b"")
    return report.exit_code


def _to_standard_error(piece: bytes) -> None:
    sys.stderr.buffer.write(piece)
    sys.stderr.buffer.flush()
