"""What `buildperm root` does: says what a root is, for Cargo.toml, and makes one of an image."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from buildperm.cargo import root_choice, session_maker, user_configuration
from buildperm.errors import BuildpermError, CannotEnforceError, ExitCode
from buildperm.policy import manifest
from buildperm.policy.grants import Policy
from buildperm.presentation import console
from buildperm.printable import printable
from buildperm.report.text import count
from buildperm.sandbox import image_choice, image_unpacking, root_digest
from buildperm.sandbox.image_files import ImageError, shelf
from buildperm.tracer.notation import encode

_MACHINE = "in the system of this machine"


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
    digest = root_digest.state_of(root).digest
    console.print_line(f'root-digest = "{digest}"')
    _tell_place(digest, root)
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
        is_new = not os.path.lexists(folder)
        if not is_new and (folder.is_symlink() or not folder.is_dir() or os.listdir(folder)):
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
    _tell_place(made.digest, folder)
    return ExitCode.OK


def _tell_place(digest: str, folder: Path) -> None:
    """Say how this machine finds the root, if it does not yet."""
    try:
        own = user_configuration.path_of(os.environ)
        if user_configuration.root_folder(digest, os.environ):
            return
    except BuildpermError:
        return  # Whoever needs it says what is wrong.
    place = str(folder)
    if printable(place) != place:
        return  # It could not be pasted.
    console.print_message(f"To find it on this machine, for {printable(str(own))}:")
    console.print_message("[roots]")
    console.print_message(f'"{digest}" = {json.dumps(place, ensure_ascii=False)}')


def told(policy: Policy) -> str:
    """Say what build scripts see as the system; empty where that is the machine's."""
    if not policy.root_digest:
        return ""
    image = f", of the image `{policy.root_image}`," if policy.root_image else ""
    return f"Build scripts see the root `{policy.root_digest}`{image} in place of the system here."


def standing(policy: Policy) -> Iterator[str]:
    """Say what build scripts see as the system while plain Cargo is held, and where that lies.

    Raises:
        CannotEnforceError: They cannot be put into it: then no build runs.
    """
    yield told(policy).removesuffix(".").replace("B", "b", 1)
    if sys.platform == "linux":
        runtime = session_maker.choose_runtime(policy, os.environ).name
        found = root_choice.check_here(policy, os.environ, policy.manifest.parent, runtime)
        yield f"that root is in {encode(os.fsencode(found))}"


def recorded_in(digests: Iterable[str]) -> str:
    """Say in which roots recordings were made; empty where all saw the system of the machine.

    Args:
        digests: Of each recording the digest of its root; empty for the system of the machine.
    """
    found = dict.fromkeys(digests)
    if not any(found):
        return ""
    return " and ".join(f"in the root `{each}`" if each else _MACHINE for each in found)


def seen(policy: Policy, digests: Iterable[str]) -> str:
    """Say what build scripts saw as the system when they were recorded, and what Cargo.toml wants.

    Args:
        policy: What Cargo.toml says.
        digests: Of each recording of a build script the digest of its root, as `recorded_in`.
    """
    found = [*digests]
    if all(digest == policy.root_digest for digest in found):
        return told(policy)
    wanted = f"the root `{policy.root_digest}`" if policy.root_digest else "no root"
    return (
        f"Build scripts were recorded {recorded_in(found) or _MACHINE}; Cargo.toml names {wanted}."
    )


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
