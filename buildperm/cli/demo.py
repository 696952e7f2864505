"""`buildperm demo`: the bundled workspace, built without buildperm and with it."""

from __future__ import annotations

import sys

import click

from buildperm.cli import options
from buildperm.workflow.demonstration import run_demo


@click.command("demo")
@click.option("--no-tui", is_flag=True, help="Decide with plain text instead of the screens.")
@click.option("--keep", is_flag=True, help="Keep the demo's folder and say where it is.")
@options.needs_linux()
def command(*, no_tui: bool, keep: bool) -> int:
    """See it at work: a bundled workspace with one crate that misbehaves.

    Builds a copy of it in a temporary folder: first with plain cargo, then with `buildperm learn`,
    then with `buildperm ci`. Works offline with nothing but cargo and a C compiler, and changes
    nothing of yours outside that folder: the keys that get stolen are planted for the purpose.
    """
    has_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    return run_demo(on_screens=not no_tui and has_terminal, keep=keep)
