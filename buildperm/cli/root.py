"""`buildperm root`: a system that build scripts see in place of this one."""

from __future__ import annotations

from pathlib import Path

import click

from buildperm.cli import options


@click.command("root")
@click.argument("action", type=click.Choice(["digest", "unpack"]))
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option(
    "--image",
    metavar="DIGEST",
    default="",
    help="With `unpack`: the image to take, by digest or tag, where there are several.",
)
@options.needs_linux()
def command(*, action: str, source: Path, folder: Path | None, image: str) -> int:
    """Say the digest of a root, as the line that Cargo.toml names it by; or make one of an image.

    \b
    digest FOLDER            print `root-digest = "sha256:…"`
    unpack IMAGE FOLDER      unpack an image into a new FOLDER; print `root-image` and `root-digest`

    A root is a FOLDER with `usr` and `etc`. IMAGE is an OCI layout, as a folder or a tar archive,
    or what `docker save`, `podman save` and `skopeo copy` write. Nothing of it is run, and no
    registry is asked. Below a Cargo.toml that has `root-image`, no other image is unpacked.

    docs/root.md says what build scripts see of a root, and what goes into the digest.

    Exit code: 0 fine; 2 the folder is there already, or cannot be made; 23 it is no root or image,
    another one than Cargo.toml says, or cannot be read.
    """  # noqa: D301 - click's mark is the character, not how it is written
    from buildperm.workflow import root_report

    if (folder is not None) != (action == "unpack") or (image and action != "unpack"):
        wanted = "IMAGE FOLDER" if action == "unpack" else "FOLDER"
        raise click.UsageError(f"`{action}` takes {wanted}.")
    if folder is None:
        return root_report.tell_digest(source)
    return root_report.unpack(source, folder, image)
