"""`buildperm enable`: plain Cargo is held to the grants from now on."""

from __future__ import annotations

import click

from buildperm.cli import options
from buildperm.errors import ExitCode
from buildperm.workflow import editor_settings
from buildperm.workflow.always_on import enable


@click.command("enable")
@click.option("--user", "is_user", is_flag=True, help="Everywhere, not only in this workspace.")
@click.option(
    "--others",
    type=click.Choice(["baseline", "grants", "warn", "leave"]),
    default="baseline",
    show_default=True,
    help="With --user: what holds for a workspace that is not enrolled. `baseline` grants nothing, "
    "`grants` what its own Cargo.toml grants, as in an image for builds; `warn` and `leave` hold "
    "nothing.",
)
@click.option(
    "--editor",
    "editors",
    multiple=True,
    type=click.Choice([editor_settings.WRITTEN, *editor_settings.PRINTED]),
    help="Have rust-analyzer in this editor hold what it runs. For `vscode` (VS Code, VSCodium and "
    "their kin) two lines are written into your own settings; for others they are printed.",
)
@options.needs_linux()
def command(*, is_user: bool, others: str, editors: tuple[str, ...]) -> int:
    """Hold plain Cargo to the grants: always on.

    From now on `cargo build`, `test`, `clippy`, `install` and all else that compiles this
    workspace, editors included, run build scripts, macros and compilers as `buildperm ci` does, in
    the target directory that you have. What Cargo has built stays fresh.

    Two lines in the configuration in CARGO_HOME do it; nothing is written into the workspace. A
    wrapper that is named there already is called in its turn. Without buildperm, or after
    `buildperm disable`, everything is as it was.

    Exit code: 0 on; 2 it cannot be written; 23 this machine cannot hold it.
    """
    enable(is_user=is_user, others=others, editors=editors)
    return ExitCode.OK
