"""`buildperm cache`: what is kept of build scripts, why one was run again, and to share it."""

from __future__ import annotations

from pathlib import Path

import click

from buildperm.cli import options
from buildperm.errors import ExitCode
from buildperm.presentation import console

ACTIONS = ["show", "explain", "verify", "clear", "pull", "push", "keygen"]


@click.command("cache")
@click.argument("action", type=click.Choice(ACTIONS))
@click.argument("crate", required=False)
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="With `verify`: run N of the scripts again that the last build restored, and compare.",
)
@click.option(
    "--seed",
    metavar="TEXT",
    help="With --sample: choose the same ones each time for the same TEXT.",
)
@options.format_option("What `show` and `explain` write to standard output.")
@options.CARGO
def command(
    *,
    action: str,
    crate: str | None,
    sample: int | None,
    seed: str | None,
    form: str,
    cargo: tuple[str, ...],
) -> int:
    """Look at the results of build scripts that `ci --cache` keeps, and clear them.

    \b
    show [CRATE]     list them: when each was recorded, by whom, how often seen
    explain CRATE    say whether its last run was restored, and why not
    verify           read all of them, and remove what is damaged
                     --sample N: run N scripts again, remove what differs
    clear [CRATE]    remove them
    pull             take what others have signed, before a build
    push             sign what was seen twice here for others, after a build
    keygen FILE      write a private key to a new FILE; print the public one

    They lie in your cache folder, for all workspaces together. docs/cache.md says when a result is
    kept and restored, and what cannot be seen.

    `push` signs with the key in BUILDPERM_CACHE_KEY, or in the file that BUILDPERM_CACHE_KEY_FILE
    names; without one it does nothing. What `pull` cannot prove is a line, and is not used.

    `verify --sample` builds as `ci` does, with the same words for Cargo.

    Exit code: 0 fine; 2 there is no such crate, no store or no access to push to it, or `verify`
    has found something damaged or different, or could not compare it; 130 interrupted.
    """  # noqa: D301 - click's mark is the character, not how it is written
    from buildperm.workflow import result_inventory

    if action != "verify" and sample is not None:
        raise click.UsageError("`--sample` is about `verify`")
    if seed is not None and sample is None:
        raise click.UsageError("`--seed` is about `--sample`")
    if action == "show":
        return _show(crate, form)
    if action == "explain":
        if crate is None:
            raise click.UsageError("`explain` needs the name of a crate")
        from buildperm.workflow.result_explanation import ResultExplanation

        options.answer(ResultExplanation.of(cargo, crate), form)
        return ExitCode.OK
    if form != options.UNASKED:
        raise click.UsageError("`--format` is about `show` and `explain`")
    if action == "keygen":
        return _make_key(crate)
    if action in ("pull", "push"):
        from buildperm.cli import interruption
        from buildperm.workflow import shared_results

        if crate is not None:
            raise click.UsageError(f"`{action}` takes no crate: it is about the workspace")
        work = shared_results.pull if action == "pull" else shared_results.push
        return interruption.apart(lambda: work(cargo))
    if action == "verify":
        if crate is not None:
            raise click.UsageError("`verify` takes no crate: it reads everything")
        damaged = result_inventory.verify()
        if sample is None:
            return damaged
        from buildperm.workflow import result_sample

        return result_sample.verify(cargo, sample, seed) or damaged
    return result_inventory.clear(crate)


def _show(crate: str | None, form: str) -> int:
    from buildperm.workflow.result_listing import ResultListing

    found = ResultListing.of(crate)
    options.answer(found, form)
    for store in found.stores:
        for line in store.unused:
            console.print_warning(f"{line}: what lies there is not used")
        console.print_message(store.told())
    return ExitCode.OK


def _make_key(path: str | None) -> int:
    from buildperm.workflow import entry_signature

    if path is None:
        raise click.UsageError("`keygen` needs the name of a file for the private key")
    console.print_line(entry_signature.make_key(Path(path).expanduser()))
    return ExitCode.OK
