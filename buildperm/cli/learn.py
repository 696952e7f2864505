"""`buildperm learn`: build once, show what scripts and macros did, decide, verify, write."""

from __future__ import annotations

import click

from buildperm.cargo.project import LEARN
from buildperm.cli import options
from buildperm.cli.answer_document import DOCUMENT, check_document, write_pending
from buildperm.workflow import head_start


@click.command("learn")
@options.review_options
@DOCUMENT
@options.runtime_option
@options.CARGO
@options.needs_linux()
def command(
    *, no_tui: bool, accept: str, dry_run: bool, runs: int, form: str, cargo: tuple[str, ...]
) -> int:
    """Build once, see what build scripts and macros do, decide, write the grants.

    Runs `cargo check --keep-going`, or whatever you write after `--`, in a target directory of its
    own, each build script and the macros of each crate recorded inside a sandbox: they may read and
    run what they like, except for keys, tokens and the like, and your home folder but for the tool
    chains in it; but write only where they should, and reach no network. Compilers are held, too.
    Then you decide about what is out of the ordinary; what is concerned runs once more under your
    decisions; and these are written to Cargo.toml. Many crates need no decision at all. What was
    seen is kept in buildperm.lock, for `buildperm review`.

    Quitting before that keeps your decisions for the next time, and changes neither file.

    Exit code: 0 all decided, 3 something left undecided, 23 something could not be held, or it is
    not known whether it was, or what it did; 130 interrupted, Cargo's own where the build fails
    for a reason of its own.
    """
    is_document = check_document(form, dry_run=dry_run)
    head_start.begin(cargo, LEARN)
    from buildperm.workflow.learning import learn
    from buildperm.workflow.review_options import ReviewOptions

    wanted = ReviewOptions(
        "learn", accept=options.RISKS[accept], dry_run=dry_run, runs=runs, words=cargo
    )
    if is_document:
        from buildperm.presentation.build_progress import LineViewer

        return write_pending("learn", cargo, learn(cargo, wanted, None, LineViewer()))
    with options.conversation(no_tui=no_tui) as (front_end, viewer):
        return learn(cargo, wanted, front_end, viewer).exit_code
