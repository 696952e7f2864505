"""`buildperm ci`: build with every build script held to its grants, and say what was refused."""

from __future__ import annotations

import sys

import click

from buildperm.cargo.held import HeldBuild
from buildperm.cargo.project import CI
from buildperm.cli.build import Built, run
from buildperm.cli.workspace import Workspace, open_workspace
from buildperm.errors import ExitCode
from buildperm.report import json, text
from buildperm.report.run import BuildRun
from buildperm.sandbox import selftest
from buildperm.sandbox.runtime import runtime


@click.command("ci")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="The report on standard output.",
)
@click.argument("cargo", nargs=-1, type=click.UNPROCESSED, metavar="[-- CARGO ARGS]")
def command(*, form: str, cargo: tuple[str, ...]) -> int:
    """Build, holding every build script to its grants. Never asks, never writes.

    Runs `cargo build`, or whatever you write after `--`, in a target directory of its own. What a
    build script was not granted is refused by the kernel and reported: who, what, through which
    programs, and what would allow it. Cargo's own output stays as it is.

    Exit code: 0 fine, 20 something was refused, 23 this machine cannot hold a build script,
    130 interrupted, Cargo's own where the build fails for a reason of its own.
    """
    workspace = open_workspace(cargo, default=CI)
    selftest.check()
    build = HeldBuild(
        workspace.project,
        workspace.policy,
        "enforcing",
        # Standard output is the report's: what Cargo prints there would break the document.
        on_output=_to_standard_error if form == "json" else None,
    )
    built = run(build, workspace, workspace.policy)
    if built.finished.interrupted:
        return ExitCode.INTERRUPTED
    outcome = _outcome(built)
    exit_code = _exit_code(outcome)
    if form == "json":
        click.echo(json.document(outcome, exit_code), nl=False)
    else:
        _tell(outcome, workspace)
    return exit_code


def _outcome(built: Built) -> BuildRun:
    return BuildRun(
        runtime=built.build.session["runtime"],
        landlock_abi=built.build.session["landlock_abi"],
        kernel=built.build.session["kernel"],
        left_open=runtime(built.build.session["runtime"]).left_open(
            built.build.session["landlock_abi"]
        ),
        scripts=built.scripts,
        cargo_exit=built.finished.exit_code,
    )


def _exit_code(outcome: BuildRun) -> int:
    return ExitCode.REFUSED if outcome.offenders else outcome.cargo_exit


def _tell(outcome: BuildRun, workspace: Workspace) -> None:
    held = (
        f"{text.count(len(outcome.scripts), 'build script')} held "
        f"({outcome.runtime}, Landlock ABI {outcome.landlock_abi})"
    )
    if not outcome.offenders:
        for line in text.warnings(outcome.scripts):
            click.echo(line, err=True)
        click.echo(f"buildperm: {held}, nothing refused but what is denied.", err=True)
        return
    click.echo("")
    for line in text.findings(outcome):
        click.echo(line)
    number = len(outcome.offenders)
    click.echo(
        f"buildperm: {held}; {text.count(number, 'crate')} went beyond what "
        f"{workspace.manifest_path.name} grants.\n"
        "To decide about it, run `buildperm learn` and commit Cargo.toml."
    )


def _to_standard_error(piece: bytes) -> None:
    sys.stderr.buffer.write(piece)
    sys.stderr.buffer.flush()
