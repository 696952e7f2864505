"""What `buildperm root` does: says what a root is, for Cargo.toml, and makes one of an image."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from buildperm.errors import BuildpermError, CannotEnforceError, ExitCode
from buildperm.policy import manifest
from buildperm.policy.grants import Policy
from buildperm.presentation import console
from buildperm.printable import printable
from buildperm.report.text import count
from buildperm.sandbox import image_choice, image_unpacking, root_digest
from buildperm.sandbox.image_files import ImageError, shelf


def tell_digest(folder: Path) -> int:
    """Print the line for Cargo.toml, and return the exit code.

    Raises:
        CannotEnforceError: It is no root.
    """
    try:
        root = Path(os.path.realpath(folder, strict=True))
    except OSError as error:
        raise CannotEnforceError(
            f"the root `{printable(str(folder))}` cannot be used: {error.strerror}",
            hint="Name the folder that has `usr` and `etc`.",
        ) from error
    console.print_line(f'root-digest = "{root_digest.state_of(root).digest}"')
    return ExitCode.OK


def unpack(archive: Path, folder: Path, wanted: str) -> int:
    """Make the folder of an image, print both lines for Cargo.toml, and return the exit code.

    Args:
        archive: An OCI layout, or an archive of an image.
        folder: Where the root will lie; nothing is there.
        wanted: The digest or tag of the image; empty: what Cargo.toml says, else the only one.

    Raises:
        CannotEnforceError: It is not the image that Cargo.toml names, or no root.
        BuildpermError: It cannot be read, or the folder not be made.
    """
    policy = _policy(Path.cwd())
    declared = policy.root_image if policy else ""
    folder = Path(os.path.abspath(folder))
    try:
        if os.path.lexists(folder) and (folder.is_symlink() or os.listdir(folder)):
            raise BuildpermError(
                f"`{printable(str(folder))}` is there already",
                hint="Name a folder that is not there, or remove it.",
            )
        files = shelf(archive)
        image = image_choice.choose(files, platform.machine(), wanted or declared)
        if declared and declared not in image.names:
            raise CannotEnforceError(
                f"the image is {image.digest}, and `root-image` is {declared}",
                hint="Take the image that Cargo.toml names; if this one is meant, commit it as "
                "`root-image`.",
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Another image has another content, which is what `--image` without `root-image` is for.
        digest = policy.root_digest if policy and declared else ""
        made = image_unpacking.unpack(files, image, folder, digest)
    except ImageError as error:
        raise CannotEnforceError(
            f"the image `{printable(str(archive))}` cannot be used: {error}",
            hint=error.hint or "Copy it again, as by `skopeo copy` or `podman save`.",
        ) from error
    except OSError as error:
        named = printable(os.fsdecode(error.filename)) if error.filename else ""
        where = f"`{named}`: " if named else ""
        raise BuildpermError(
            f"the image cannot be unpacked: {where}{error.strerror}",
            hint="Name an archive that you may read, and a new folder in one that you may write "
            "to, with room enough.",
        ) from error
    left_out = f", {count(made.left_out, 'device or pipe', 'devices and pipes')} left out"
    console.print_message(
        f"{count(made.files, 'file')} in {printable(str(folder))}"
        f"{left_out if made.left_out else ''}; for Cargo.toml:"
    )
    console.print_line(f'root-image = "{declared or image.digest}"')
    console.print_line(f'root-digest = "{made.digest}"')
    return ExitCode.OK


def told(policy: Policy) -> str:
    """Say what build scripts see as the system; empty where that is the machine's."""
    if not policy.root_digest:
        return ""
    image = f", of the image `{policy.root_image}`," if policy.root_image else ""
    return f"Build scripts see the root `{policy.root_digest}`{image} in place of the system here."


def _policy(start: Path) -> Policy | None:
    """Return what the nearest Cargo.toml above says that names a root; None where none does.

    Raises:
        BuildpermError: One cannot be read.
    """
    for folder in (start, *start.parents):
        path = folder / "Cargo.toml"
        try:
            raw = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise BuildpermError(
                f"{printable(str(path))} cannot be read: {error.strerror}",
                hint="Call it where no workspace is, or make it readable.",
            ) from error
        policy = manifest.read(raw, path)
        if policy.root_digest:
            return policy
    return None
