"""`buildperm disable`: plain Cargo is left alone again."""

from __future__ import annotations

import click

from buildperm.errors import ExitCode
from buildperm.workflow.always_on import disable


@click.command("disable")
@click.option("--user", "is_user", is_flag=True, help="Everywhere, not only in this workspace.")
def command(*, is_user: bool) -> int:
    """Switch always on off: here, or everywhere with --user.

    Stubs in target directories give way to the build scripts that they stand for, and what Cargo
    has built stays fresh. With the last workspace Cargo's configuration gets its old bytes back.

    Exit code: 0 off; 2 something cannot be written.
    """
    disable(is_user=is_user)
    return ExitCode.OK
