"""`--format` of `learn` and `review`: for a program, which goes on with `decide`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from buildperm.cli import options
from buildperm.errors import ExitCode
from buildperm.report.answer_formats import ANSWER_FORMATS

if TYPE_CHECKING:
    from buildperm.workflow.learning_end import LearningEnd

JSON = "json"

DOCUMENT = click.option(
    "--format",
    "form",
    type=click.Choice(list(ANSWER_FORMATS)),
    default=options.UNASKED,
    show_default=True,
    help="`json` asks nobody, and writes what is left to decide to standard output, as `pending` "
    "does.",
)


def check_document(form: str, *, dry_run: bool) -> bool:
    """Tell whether a document is wanted.

    Raises:
        UsageError: Standard output would be for a diff as well.
    """
    if form == JSON and dry_run:
        raise click.UsageError("--dry-run prints a diff: it cannot go with --format json")
    return form == JSON


def write_pending(command: str, words: Sequence[str], end: LearningEnd) -> int:
    """Write what a build has left to decide; return the exit code."""
    from buildperm.workflow.pending_document import PendingReport
    from buildperm.workflow.pending_work import PendingWork

    if end.exit_code != ExitCode.INTERRUPTED:
        options.answer(PendingReport(PendingWork(words), (command, end)), JSON)
    return end.exit_code
