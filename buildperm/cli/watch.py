"""`buildperm watch`: wait for what is built to change, then offer the review."""

from __future__ import annotations

import sys

import click

from buildperm.cli import options
from buildperm.workflow.lock_watch import LockWatch


@click.command("watch")
@click.option("--no-tui", is_flag=True, help="Review with plain text instead of the screens.")
@click.option(
    "--poll",
    is_flag=True,
    help="Look once a second instead of being told by the kernel: for network file systems.",
)
@options.needs_linux()
def command(*, no_tui: bool, poll: bool) -> int:
    """Wait for Cargo.lock or Cargo.toml to change, then offer the review.

    Says what is to be reviewed, now and whenever Cargo.lock, buildperm.lock, or the Cargo.toml of
    the workspace or of one of its members has other content: as `buildperm check` does, without
    building anything. On a terminal, Enter then starts `buildperm review`. Without one, every
    change is a line on standard output and nothing else happens.

    Exit code: 130 once it is interrupted, which is how it ends.
    """
    is_asking = all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    watch = LockWatch(is_asking=is_asking, options=["--no-tui"] if no_tui else [])
    return watch.run(polling=poll)
