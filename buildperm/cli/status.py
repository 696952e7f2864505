"""`buildperm status`: whether plain Cargo is held here."""

from __future__ import annotations

from pathlib import Path

import click

from buildperm.errors import ExitCode
from buildperm.presentation import console


@click.command("status")
@click.option(
    "--short",
    "is_short",
    is_flag=True,
    help="One word, `on`, `baseline` or `off`, in some milliseconds: for prompts and editors.",
)
def command(*, is_short: bool) -> int:
    """Say whether plain Cargo is held in this folder, proven by trying.

    A canary is built through the Cargo that you would call, with your environment and all of your
    configuration: a build script that tries to read a key and to connect. What outranks always on
    is found, too: RUSTC_WRAPPER, a configuration nearer than that of CARGO_HOME, another
    CARGO_HOME, an alias, build scripts that were compiled without it. --short only reads.

    Exit code: 0 it is as you have switched it, on or off; 23 it is on and not in force.
    """
    if is_short:
        from buildperm import short_status

        return short_status.main()
    from buildperm.workflow.always_on_status import status

    found = status(Path.cwd())
    console.print_line("not in force" if not found.is_well else found.wanted)
    for line in (*found.lines, *found.problems):
        console.print_line(f"  {line}")
    return ExitCode.OK if found.is_well else ExitCode.CANNOT_ENFORCE
