"""`buildperm ci`: build with everything held to its grants, and say what was refused."""

from __future__ import annotations

import click

from buildperm.cargo.project import CI
from buildperm.cli import options
from buildperm.workflow import head_start
from buildperm.workflow.report_outputs import ReportOutputs


@click.command("ci")
@options.report_options
@click.option(
    "--emit-patch",
    "patch",
    metavar="PATH",
    help="Write a patch of Cargo.toml that proposes what was refused, with the evidence.",
)
@click.option(
    "--require-reviewed",
    is_flag=True,
    help="Build nothing, and fail, where a script or macro was not reviewed as it is now.",
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
@click.option(
    "--observe",
    type=click.Choice(["light", "everything"]),
    default="light",
    show_default=True,
    help="What is recorded. `light` leaves out which files the system's C compilers read; "
    "nothing else, and nothing is allowed for it. --deny-unused takes `everything`.",
)
@click.option(
    "--cache/--no-cache",
    "cache",
    default=None,
    help="Restore what a build script has made before from all that it reads now. Without either "
    "word `cache` in Cargo.toml decides; else nothing is restored.",
)
@options.comparison_options
@options.beside_options
@options.CARGO
@options.needs_linux()
def command(
    *,
    form: str | None,
    reports: tuple[str, ...],
    patch: str | None,
    require_reviewed: bool,
    deny_unused: bool,
    warn: bool,
    observe: str,
    cache: bool | None,
    against: str | None,
    allow_wider: bool,
    beside: str,
    cargo: tuple[str, ...],
) -> int:
    """Build, holding scripts, macros and compilers to their grants. Never asks, never decides.

    Runs `cargo build`, or whatever you write after `--`, in a target directory of its own. What a
    crate was not granted is refused and reported, but for what SECURITY.md lists: who, what,
    through which programs, and what would allow it. Cargo's own output stays as it is. It is told
    to keep going where it can, so that one run shows as much as it can.

    With --against nothing is built where the grants have become wider than in another commit:
    a pull request can bring its own permission along. See `buildperm check --help`.

    Exit code, the first that fits: 2 wrong words or unreadable input; 21 not reviewed, or wider,
    and nothing was built (--require-reviewed, --against); 23 something could not be held, or it
    is not known whether it was, or what it did; 130 interrupted; 20 something was refused, or a
    script or macro was failed; Cargo's own where the build fails for a reason of its own; 22 a
    grant is not used (--deny-unused); 0 fine. With --warn neither 20 nor 21 nor 22.

    All reports are written whatever the exit code, but for 2, 23 and 130.
    """
    options.check_comparing(against, allow_wider=allow_wider)
    outputs = ReportOutputs(form, reports, patch)
    head_start.begin(cargo, CI)
    from buildperm.workflow.enforced_build import EnforcementOptions, build

    wanted = EnforcementOptions(
        against,
        allow_wider=allow_wider,
        require_reviewed=require_reviewed,
        deny_unused=deny_unused,
        is_warning=warn,
        observes_all=observe == "everything",
        cache=cache,
        beside=beside,
    )
    return build(cargo, outputs, wanted)
