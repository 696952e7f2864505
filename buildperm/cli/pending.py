"""`buildperm pending`: what is left to decide, without building; for editors and other programs."""

from __future__ import annotations

import click

from buildperm.cli import options
from buildperm.errors import ExitCode
from buildperm.workflow.pending_document import PendingReport
from buildperm.workflow.pending_work import PendingWork


@click.command("pending")
@options.format_option()
@click.option("--json", "is_json", is_flag=True, help="The same as `--format json`.")
@options.CARGO
def command(*, form: str, is_json: bool, cargo: tuple[str, ...]) -> int:
    """List what is left to decide, from the recordings on this machine; nothing is built.

    That is what `learn`, `review` and `ci` have seen and nobody has allowed or denied. Each
    question has an id, which is the same as long as the crate does the same, the ways to allow it
    with what each adds, the evidence with all command lines, and the line of Cargo.toml that it is
    about. `buildperm decide` answers it.

    With --format json that is a document, described in report/pending.schema.json. Its token
    changes with any question, and with Cargo.toml and the lock files: `decide --token` refuses to
    answer what has changed since.

    Exit code: 0 whatever there is.
    """
    work = PendingWork(cargo)
    options.answer(PendingReport(work), "json" if is_json else form)
    return ExitCode.OK
