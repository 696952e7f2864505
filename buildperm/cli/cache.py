"""`buildperm cache`: what is kept of build scripts, why one was run again, and to clear it."""

from __future__ import annotations

import click

from buildperm.cli import options


@click.command("cache")
@click.argument("action", type=click.Choice(["show", "explain", "verify", "clear"]))
@click.argument("crate", required=False)
@options.CARGO
def command(*, action: str, crate: str | None, cargo: tuple[str, ...]) -> int:
    r"""Look at the results of build scripts that `ci --cache` keeps, and clear them.

    \b
    show [CRATE]     list them: when each was recorded, by whom, how often it was seen
    explain CRATE    say whether its last run was restored, and why not
    verify           read all of them, and remove what is damaged
    clear [CRATE]    remove them

    They lie in your cache folder, for all workspaces together. docs/cache.md says when a result is
    kept and restored, and what cannot be seen.

    Exit code: 0 fine; 2 there is no such crate, or `verify` has found something damaged.
    """
    from buildperm.workflow import result_inventory

    if action == "explain":
        if crate is None:
            raise click.UsageError("`explain` needs the name of a crate")
        return result_inventory.explain(cargo, crate)
    if action == "verify":
        if crate is not None:
            raise click.UsageError("`verify` takes no crate: it reads everything")
        return result_inventory.verify()
    return (result_inventory.show if action == "show" else result_inventory.clear)(crate)
