"""A command that takes any number of crates before `--`, and words for Cargo behind it."""

from __future__ import annotations

import click

_CARGO = "buildperm.cargo"


class CratesCommand(click.Command):
    """Takes any number of crates before `--`, and words for Cargo behind it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_CARGO] = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])


def cargo_words(context: click.Context) -> tuple[str, ...]:
    """Return what stood behind `--`."""
    words: tuple[str, ...] = context.meta[_CARGO]
    return words
