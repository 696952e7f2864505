"""`buildperm review`: after an update, ask about the crates that behave differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from buildperm.cargo.project import LEARN
from buildperm.cli import options
from buildperm.cli.answer_document import DOCUMENT, check_document, write_pending
from buildperm.workflow import head_start

if TYPE_CHECKING:
    from buildperm.workflow.review_changes import Prune


@click.command("review")
@options.review_options
@click.option(
    "--prune",
    type=click.Choice(["now", "later", "never"]),
    default="later",
    show_default=True,
    help="When to propose the removal of an unused grant: at once, when the build "
    "script has changed twice without needing it, or never.",
)
@click.option(
    "--from",
    "report",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="REPORT",
    help="Decide about what a JSON report of `buildperm ci` says was refused; builds nothing.",
)
@DOCUMENT
@options.runtime_option
@options.CARGO
@options.needs_linux(unless="report")
def command(
    *,
    no_tui: bool,
    accept: str,
    dry_run: bool,
    runs: int,
    prune: str,
    report: str | None,
    form: str,
    cargo: tuple[str, ...],
) -> int:
    """After an update, look at build scripts and macros that behave differently, and only at those.

    Builds as `buildperm learn` does; Cargo runs again what has changed. What each crate did is
    compared with what it did when it was reviewed last, which is kept in buildperm.lock. What
    stays inside harmless grants is carried over without a question; you are asked about the rest,
    the difference in behaviour first, the difference of the sources beside it.

    Without words after `--` it builds all that `contexts` in Cargo.toml lists, else
    `cargo check --keep-going`.

    Exit code: 0 all decided, 3 something left undecided, 23 something could not be held, or it is
    not known whether it was, or what it did; 130 interrupted, Cargo's own where the build fails
    for a reason of its own.
    """
    is_document = check_document(form, dry_run=dry_run)
    if is_document and report is not None:
        raise click.UsageError("--from asks a person: it cannot go with --format json")
    head_start.begin(cargo, LEARN, builds=report is None)
    from buildperm.workflow.learning import learn
    from buildperm.workflow.review_options import ReviewOptions

    wanted = ReviewOptions(
        "review",
        accept=options.RISKS[accept],
        dry_run=dry_run,
        runs=runs,
        prune=cast("Prune", prune),
        words=cargo,
    )
    if is_document:
        from buildperm.presentation.build_progress import LineViewer

        return write_pending("review", cargo, learn(cargo, wanted, None, LineViewer()))
    if report is not None:
        from buildperm.workflow.report_review import review_report

        return review_report(report, wanted, cargo, options.front_end(no_tui=no_tui))
    with options.conversation(no_tui=no_tui) as (front_end, viewer):
        return learn(cargo, wanted, front_end, viewer).exit_code
