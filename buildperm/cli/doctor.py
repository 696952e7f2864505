"""`buildperm doctor`: what this machine enforces, proven by trying."""

from __future__ import annotations

import os
from pathlib import Path

import click

from buildperm.cli import options
from buildperm.errors import BuildpermError, CannotEnforceError
from buildperm.policy.runtime_table import WASI
from buildperm.presentation import console
from buildperm.report.diagnosis_text import DiagnosisResult, markdown
from buildperm.sandbox import machine
from buildperm.workflow.examination import examine, private_words


@click.command("doctor")
@options.format_option("What is written to standard output.")
@click.option(
    "--report",
    "is_report",
    is_flag=True,
    help="One block of Markdown for the report of a bug: no name, no path, no value of a variable.",
)
@click.option(
    "--landlock-abi",
    "cap",
    type=click.IntRange(0, machine.NEWEST_LANDLOCK_ABI),
    default=machine.NEWEST_LANDLOCK_ABI,
    hidden=True,
    help="Use no newer Landlock ABI than this, as if the kernel were older.",
)
@options.needs_linux()
def command(*, form: str, is_report: bool, cap: int) -> int:
    """Say what this machine enforces, each line of it proven by trying.

    A harmless program tries what a hostile build script would: to read a file that it was not
    granted, to connect, to trace another process, and so on; once with nothing to hold it, and once
    in each runtime that this machine can run, with the same supervisor, filter and rules as any
    build script. Then a small crate with a procedural macro is compiled, with and without what
    holds compilers and macros. What is refused, what is open as declared, and what is missing here
    is listed, with what a build script can do because of that.

    Nothing of yours is touched, and no Cargo workspace is needed. In one, it also says whether
    what `require` in its Cargo.toml asks for is enforced.

    Exit code: 0 what is required is enforced, 23 it is not.
    """
    if is_report and form != options.UNASKED:
        raise BuildpermError(
            "`--report` is Markdown; it has no other format",
            hint="Leave out either `--report` or `--format`.",
        )
    diagnosis = examine(landlock_abi=cap)
    if is_report:
        console.write(markdown(diagnosis.anonymous(private_words())))
    else:
        options.answer(DiagnosisResult(diagnosis), form)
        if form in ("text", options.UNASKED):
            _tell_wasi()
            _tell_always_on()
    required = diagnosis.required
    if required.reason:
        raise CannotEnforceError(
            f"this machine does not enforce what is required: {required.reason}", hint=required.hint
        )
    return diagnosis.exit_code


def _tell_wasi() -> None:
    """Say what `--runtime wasi` lacks here, where the user's variables ask for it."""
    if os.environ.get("BUILDPERM_RUNTIME") != WASI:
        return
    from buildperm.workflow import wasi_settings

    lacking = wasi_settings.lacking_in(Path.cwd(), os.environ)
    console.print_line("")
    console.print_line(f"wasi, an experiment: {lacking or 'scripts can be run as WASI'}")


def _tell_always_on() -> None:
    """Say whether plain Cargo is held in the current folder, where that was switched on."""
    from buildperm.workflow import always_on_status  # Only now: mostly it is off.

    if not always_on_status.is_on():
        return
    found = always_on_status.status(Path.cwd())
    console.print_line("")
    console.print_line(f"always on: {found.wanted if found.is_well else 'not in force'}")
    for line in (*found.lines, *found.problems):
        console.print_line(f"  {line}")
    if not found.is_well:
        raise CannotEnforceError(f"plain Cargo is not held here: {found.problems[0]}")
