"""`buildperm trace`: look through what was recorded of one crate."""

from __future__ import annotations

from pathlib import Path

import click

from buildperm.cli import options
from buildperm.errors import ExitCode
from buildperm.presentation import console
from buildperm.workflow.trace_lookup import FORMATS, CrateTrace, save


@click.command("trace")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Write it to standard output: text, JSON, or the trace format that ui.perfetto.dev and "
    "Chrome open. [default: on a terminal a screen, else text]",
)
@click.option(
    "--filter",
    "words",
    default="",
    metavar="WORDS",
    help="Only these events: `kind:exec`, `is:refused`, `by:git`, or any words; `-` before a word "
    "leaves out what it finds.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it to this file.",
)
@click.argument("crate")
@options.CARGO
def command(
    *, form: str | None, words: str, output: Path | None, crate: str, cargo: tuple[str, ...]
) -> int:
    """Look through what was recorded of a crate: its processes, and every event.

    CRATE is a name, a name with its version (`openssl-sys@0.9.104`), or a key of the grant table.
    The recordings are those that `learn`, `review` and `ci` have left below the target directory.
    Nothing is built and nothing is run.
    """
    trace = CrateTrace.of(cargo, crate)
    trace.events(words)  # What is wrong with the filter is said before anything is shown.
    if form is None and output is None and (show := options.trace_screen()) is not None:
        show(trace.script.title, trace.runs, words, trace.problems)
        return ExitCode.OK
    for problem in trace.problems:
        console.print_warning(problem)
    text = trace.text(form or FORMATS[0], words)
    if output is not None:
        save(output, text)
    else:
        console.write(text)
    return ExitCode.OK
