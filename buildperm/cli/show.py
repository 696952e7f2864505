"""`buildperm show`: what each crate is granted, by whom and since when."""

from __future__ import annotations

import click

from buildperm.cli import options
from buildperm.errors import ExitCode
from buildperm.workflow.grant_overview import GrantOverview

_CARGO = "buildperm.cargo"


class _Command(click.Command):
    """Takes any number of crates before `--`, and words for Cargo behind it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_CARGO] = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])


@click.command("show", cls=_Command)
@options.format_option()
@click.argument("crates", nargs=-1, metavar="[CRATE]... [-- CARGO ARGS]")
@click.pass_context
def command(context: click.Context, *, form: str, crates: tuple[str, ...]) -> int:
    """Say in plain words what each crate is granted, by whom and since when.

    CRATE is a name, a name with its version (`openssl-sys@0.9.104`), or a key of the grant table;
    what those did when they were reviewed is told as well. Without one, all grants are told.
    Nothing is built and nothing is written.
    """
    options.answer(GrantOverview.of(context.meta[_CARGO], crates), form)
    return ExitCode.OK
