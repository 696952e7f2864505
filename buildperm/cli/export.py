"""`buildperm export`: what was reviewed here, for other workspaces and other tools."""

from __future__ import annotations

from pathlib import Path

import click

from buildperm.cli import options
from buildperm.errors import ExitCode
from buildperm.presentation import console
from buildperm.workflow.allowed_scripts import check_cargo_deny
from buildperm.workflow.exporting import FORMATS, export


@click.command("export")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="grants",
    show_default=True,
    help="For whom it is.",
)
@click.option(
    "--check",
    "checked",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="With cargo-deny: compare its `allow-build-scripts`, write nothing.",
)
@click.option("--json", "is_json", is_flag=True, help="What --check finds as one document.")
def command(*, form: str, checked: Path | None, is_json: bool) -> int:
    """Write what was reviewed in this workspace to standard output; nothing is built.

    `grants` is what `buildperm import` reads elsewhere, and `json` the same as JSON: the tables of
    Cargo.toml with a version in `reviewed`, or with denials, for crates from a registry or Git.
    What is of this workspace alone, of the sensitive tier, or to be written is left out, and that
    is said.

    `cargo-deny` is the list `allow-build-scripts` of [bans.build], of the build scripts that were
    reviewed as Cargo.lock has them. `cargo-vet` are entries `safe-to-run` for audits.toml, and
    `crev` the text of package reviews: both tell what was recorded. Nothing is signed, and no name
    is put under it.

    Exit code: 0 it is written, or the list is as it should be; with --check 21 an entry allows a
    build script that was not reviewed, 22 an entry means none in Cargo.lock, or one that was
    reviewed is missing.
    """
    if checked is not None:
        if form != "cargo-deny":
            raise click.UsageError("--check is for --format cargo-deny.")
        found = check_cargo_deny(checked)
        options.answer(found, "json" if is_json else "text")
        return found.exit_code
    if is_json:
        raise click.UsageError("--json is for --check; the grants are JSON with --format json.")
    done = export(form)
    for line in done.left_out:
        console.print_message(f"left out: {line}")
    console.write(done.text)
    return ExitCode.OK
