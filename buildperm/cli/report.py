"""`buildperm report`: everything that ran, and what it may do, as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from buildperm.cli.crates_command import CratesCommand, cargo_words
from buildperm.errors import BuildpermError, ExitCode
from buildperm.presentation import console


@click.command("report", cls=CratesCommand)
@click.option("--html", is_flag=True, help="Write one HTML file; so far there is nothing else.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file, or `-` for standard output.  [default: report.html in buildperm's folder of "
    "the target directory]",
)
@click.option(
    "--from",
    "reported",
    metavar="REPORT",
    help="Also tell what the JSON report of a build elsewhere says: buildperm-report.json of `ci`.",
)
@click.argument("crates", nargs=-1, metavar="[CRATE]... [-- CARGO ARGS]")
@click.pass_context
def command(
    context: click.Context,
    *,
    html: bool,
    output: Path | None,
    reported: str | None,
    crates: tuple[str, ...],
) -> int:
    """Write one HTML file about what ran in the builds of this workspace.

    It tells, the worst first, what each crate did, which processes it started and when, who
    touches what, and which grants there are and why. It is made from the recordings that
    `buildperm learn`, `review` and `ci` left on this machine, from `buildperm.lock` and Cargo.toml;
    nothing is built. The file loads nothing and sends nothing, and prints well.
    """
    if not html:
        raise click.UsageError("say what to write: --html")
    pages = [each for each in crates if each.lower().endswith((".html", ".htm"))]
    if pages and output is None:
        raise BuildpermError(
            f"`{pages[0]}` is no crate", hint="Name the file behind `-o`: --html -o FILE."
        )
    from buildperm.workflow import html_report

    path = html_report.write(cargo_words(context), crates, output, console.print_warning, reported)
    if path is not None:
        console.print_message(f"Wrote {path}. Open it in a browser.")
    return ExitCode.OK
