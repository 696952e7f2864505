"""`buildperm show`: what each crate is granted, by whom and since when."""

from __future__ import annotations

import click

from buildperm.cli import options
from buildperm.cli.crates_command import CratesCommand, cargo_words
from buildperm.errors import ExitCode
from buildperm.workflow.grant_overview import GrantOverview


@click.command("show", cls=CratesCommand)
@options.format_option()
@click.option(
    "--seatbelt",
    "is_profile",
    is_flag=True,
    help="Write what one crate's build script may do as a profile for macOS: not proven on a Mac.",
)
@click.argument("crates", nargs=-1, metavar="[CRATE]... [-- CARGO ARGS]")
@click.pass_context
def command(context: click.Context, *, form: str, is_profile: bool, crates: tuple[str, ...]) -> int:
    """Say in plain words what each crate is granted, by whom and since when.

    CRATE is a name, a name with its version (`openssl-sys@0.9.104`), or a key of the grant table;
    what those did when they were reviewed is told as well. Without one, all grants are told.
    Nothing is built and nothing is written.
    """
    if is_profile:
        from buildperm.presentation import console
        from buildperm.workflow.seatbelt_listing import seatbelt

        console.write(seatbelt(cargo_words(context), crates))
        return ExitCode.OK
    options.answer(GrantOverview.of(cargo_words(context), crates), form)
    return ExitCode.OK
