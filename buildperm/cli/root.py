"""`buildperm root`: the digest of a system that build scripts see in place of this one."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("root")
@click.argument("action", type=click.Choice(["digest"]))
@click.argument("folder", type=click.Path(path_type=Path))
def command(*, action: str, folder: Path) -> int:
    """Say the digest of a root, as the line that Cargo.toml names it by.

    \b
    digest FOLDER    print `root-digest = "sha256:…"`

    FOLDER has `usr` and `etc`, such as an unpacked container image. Nothing of it is run.
    docs/root.md says how one is made, what build scripts see of it, and what goes into the digest.

    Exit code: 0 fine; 23 it is no root, or cannot be read.
    """  # noqa: D301 - click's mark is the character, not how it is written
    from buildperm.workflow import root_report

    assert action == "digest"
    return root_report.tell_digest(folder)
