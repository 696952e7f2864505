"""`buildperm index`: a folder of permissions, which `info` reads without building."""

from __future__ import annotations

from pathlib import Path

import click

from buildperm.cli import options


@click.command("index")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("crates", nargs=-1, metavar="[CRATE[@VERSION]]...")
@click.option(
    "--from",
    "lists",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also the crates in this file, one on a line; can be given again.",
)
@click.option(
    "--recorded",
    is_flag=True,
    help="Also what is recorded in the workspace of the current folder; that builds nothing.",
)
@click.option(
    "--part",
    default="1/1",
    metavar="K/N",
    show_default=True,
    help="Only the K-th of N parts of the crates, for several machines.",
)
@click.option("--again", is_flag=True, help="Record anew what is in the index already.")
@options.runtime_option
@options.needs_linux(unless="recorded")
def command(
    *,
    folder: Path,
    crates: tuple[str, ...],
    lists: tuple[Path, ...],
    recorded: bool,
    part: str,
    again: bool,
) -> int:
    """Make an index of permissions in FOLDER, which `info` reads without building.

    Each crate is built with its dependencies and recorded as `info` does. Each version that runs
    code in a build gets an entry: a file with its checksum, what it asks, and how that was found
    out. What is there is left alone, so that a run that was stopped goes on where it was.

    To use several machines, give each a part, copy their folders together, and call it once more
    without a crate: it then only writes the list of all entries. The folder can be served as it
    is; what this prints is for `info --index`. docs/index-format.md describes the files.

    Exit code: 0 all is in it; 2 there is no such crate; 23 something could not be held; 130
    interrupted; Cargo's own where a build fails: the others are recorded all the same.
    """
    from buildperm.presentation import console
    from buildperm.presentation.build_progress import LineViewer
    from buildperm.workflow import index_making

    requests = index_making.requests_of(crates, lists)
    wanted = index_making.Part.parse(part)
    made = index_making.IndexFolder(folder, again=again)
    viewer = LineViewer()
    try:
        code = index_making.make_index(made, requests, wanted, viewer)
    finally:
        viewer.close()
    if recorded:
        index_making.take_recorded(made)
    console.print_line(index_making.sealed(made))
    return code
