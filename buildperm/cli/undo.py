"""`buildperm undo`: take back what the last learn, review or decide wrote."""

from __future__ import annotations

import click


@click.command("undo")
@click.option(
    "--list", "listing", is_flag=True, help="List what was written, and take nothing back."
)
@click.option(
    "--to",
    type=click.IntRange(0),
    metavar="N",
    help="Take back everything that was written after number N of the list; 0 for all of it.",
)
@click.option("--redo", is_flag=True, help="Write again what was taken back.")
@click.option("--dry-run", is_flag=True, help="Print what it would change, write nothing.")
def command(*, listing: bool, to: int | None, redo: bool, dry_run: bool) -> int:
    """Take back what the last learn, review or decide wrote into Cargo.toml and buildperm.lock.

    What you have edited elsewhere in the files since then stays. Where you have edited the same
    lines, nothing is written, and the patch is printed for you to apply by hand. The next review
    asks again about what is taken back.

    The history is in the target directory: `cargo clean` removes it.

    Exit code: 0 taken back, 2 there is nothing to take back, or it was edited since.
    """
    from buildperm.workflow import undoing

    if listing:
        return undoing.list_changes()
    return undoing.undo(undoing.UndoOptions(to, dry_run, redo))
