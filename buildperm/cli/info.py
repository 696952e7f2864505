"""`buildperm info`: what a crate would bring, before it is added."""

from __future__ import annotations

import click

from buildperm.cli import options


@click.command("info")
@click.argument("crate", metavar="CRATE[@VERSION]")
@click.option(
    "--features", "-F", multiple=True, metavar="FEATURES", help="Switch these features on."
)
@click.option("--no-default-features", is_flag=True, help="Leave the default features off.")
@click.option(
    "--index",
    metavar="PLACE",
    help="Look it up in an index and build nothing: a folder, or https://…#sha256=…",
)
@options.format_option()
@click.option("--json", "is_json", is_flag=True, help="The same as `--format json`.")
@options.runtime_option
@options.needs_linux()
def command(
    *,
    crate: str,
    features: tuple[str, ...],
    no_default_features: bool,
    index: str | None,
    form: str,
    is_json: bool,
) -> int:
    """Before you add a crate: say what it and its dependencies would run and ask.

    Does in a workspace of its own, in your cache, what `cargo add CRATE` would do in yours: the
    versions in your Cargo.lock are kept, your registries and your tool chain are used, and nothing
    of yours is changed. All of it is built once and recorded as in `learn`: without any grant,
    with keys and tokens closed and the network refused. Then the folder is removed.

    A whole VERSION (1.2.3) means that one alone, anything else is a requirement as in Cargo.toml.
    Macros that nothing in these crates uses do not run, so what they ask is not seen.

    With --index nothing is built: what others have recorded is looked up, by version and checksum.

    Exit code: 0 nothing would have to be decided, as far as was seen; 3 something would, or is not
    in the index, or cannot be beside what you have; 2 there is no such crate or version; 23
    something could not be held; 130 interrupted; Cargo's own where the build fails.
    """
    from buildperm.cargo.trial_workspace import WantedCrate
    from buildperm.presentation.build_progress import LineViewer
    from buildperm.workflow.before_adding import inform

    request = WantedCrate.parse(crate, features, default_features=not no_default_features)
    viewer = LineViewer()
    try:
        found = inform(request, index, viewer)
    finally:
        viewer.close()
    options.answer(found, "json" if is_json else form)
    return found.exit_code
