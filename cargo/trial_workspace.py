"""A workspace of its own in the user's cache, with one dependency: what `cargo add` would bring.

Cargo itself adds the dependency. It runs in the folder of the command, so that the user's tool
chain, registries and other settings hold, and is told the manifest. The Cargo.lock of the user's
workspace is copied: Cargo keeps what is locked, and leaves out what is not needed.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from buildperm.cargo import workspace_query
from buildperm.cargo.project import LEARN, Project, Projects
from buildperm.cargo.toolchain import Toolchain
from buildperm.errors import BuildpermError
from buildperm.sandbox import private_cache
from buildperm.supervisor import private_folder

if sys.platform != "win32":
    import fcntl

NAME = "buildperm-trial"
"""Of its only package."""

_MANIFEST = f"""\
[workspace]

[package]
name = "{NAME}"
version = "0.0.0"
edition = "2021"
publish = false
"""
_CRATE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_FULL_VERSION = re.compile(r"\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?", re.ASCII)
_REQUIREMENT = re.compile(r"[0-9A-Za-z.+*^~=<>, -]{1,100}")
_FEATURE = re.compile(r"[\w][\w+./:?-]{0,99}", re.ASCII)
_LOCK_MOST = 64 << 20  # Bytes of a Cargo.lock.
_OURS = "Cargo cannot read the workspace: "
_MOVED = ("CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR")


class UnknownCrateError(BuildpermError):
    """The registry has no such crate or version, or it cannot be asked; nothing was built."""


@dataclass(frozen=True, slots=True)
class WantedCrate:
    """A crate as a person asks for it: what would be written behind `cargo add`."""

    name: str
    requirement: str = ""  # As Cargo.toml writes it; empty for what Cargo takes by itself.
    features: tuple[str, ...] = ()
    default_features: bool = True

    @classmethod
    def parse(
        cls, text: str, features: tuple[str, ...] = (), *, default_features: bool = True
    ) -> WantedCrate:
        """Read `CRATE` or `CRATE@VERSION`: a whole version means that one alone.

        Raises:
            BuildpermError: It is neither.
        """
        name, at_sign, version = text.strip().partition("@")
        version = version.strip()
        if not _CRATE.fullmatch(name) or (at_sign and not _REQUIREMENT.fullmatch(version)):
            raise BuildpermError(
                f"`{text}` is no crate of a registry", hint="Write CRATE or CRATE@VERSION."
            )
        named = tuple(each for text in features for each in re.split(r"[\s,]+", text) if each)
        for feature in named:
            if not _FEATURE.fullmatch(feature):
                raise BuildpermError(f"`{feature}` is no name that a feature can have")
        exact = f"={version}" if _FULL_VERSION.fullmatch(version) else version
        return cls(name, exact, named, default_features)

    def words(self) -> list[str]:
        """Return what `cargo add` is told."""
        spec = f"{self.name}@{self.requirement}" if self.requirement else self.name
        words = [spec, *(["--features", ",".join(self.features)] if self.features else [])]
        return words if self.default_features else [*words, "--no-default-features"]


@contextmanager
def trial_workspace(
    request: WantedCrate,
    toolchain: Toolchain,
    folder: Path,
    environment: Mapping[str, str],
    lock: bytes | None = None,
) -> Iterator[Project]:
    """Make the workspace and resolve it; remove all of it at the end.

    Args:
        request: What is added to it.
        toolchain: That of the command.
        folder: Where the command was given.
        environment: The user's.
        lock: The content of the Cargo.lock whose versions are to be kept.

    Raises:
        UnknownCrateError: Cargo cannot add it.
        BuildpermError: There is no private cache folder.
    """
    with _private_folder() as place:
        (place / "src").mkdir()
        (place / "src/lib.rs").write_bytes(b"")
        manifest = place / "Cargo.toml"
        manifest.write_text(_MANIFEST, encoding="utf-8")
        if lock is not None and len(lock) <= _LOCK_MOST:
            (place / "Cargo.lock").write_bytes(lock)
        variables = {name: value for name, value in environment.items() if name not in _MOVED}
        variables["CARGO_TARGET_DIR"] = str(place / "target")
        where = ["--manifest-path", str(manifest)]
        try:
            adding = ["add", "--quiet", *where, *request.words()]
            workspace_query.ask(toolchain, folder, variables, adding)
            project = Projects(folder, variables).open([*LEARN, *where])
        except BuildpermError as error:
            exact = _without_adding(request, toolchain, folder, variables, manifest)
            raise _unknown(request, exact or error) from error
        yield project


def _without_adding(
    request: WantedCrate,
    toolchain: Toolchain,
    folder: Path,
    environment: Mapping[str, str],
    manifest: Path,
) -> BuildpermError | None:
    """Have Cargo say why there is no such version; None where it says nothing of versions.

    `cargo add` only says that it was not found, even of one that was withdrawn.
    """
    if not request.requirement:
        return None
    needed = f'\n[dependencies]\n{request.name} = "{request.requirement}"\n'
    manifest.write_text(_MANIFEST + needed, encoding="utf-8")
    try:
        words = ["metadata", "--format-version", "1", "--manifest-path", str(manifest)]
        workspace_query.ask(toolchain, folder, environment, words)
    except BuildpermError as error:
        said = str(error.args[0])
        return error if "yanked" in said or "candidate versions" in said else None
    return None


def _unknown(request: WantedCrate, error: BuildpermError) -> BuildpermError:
    """Say in a line why Cargo does not add a crate; an error of our own stays as it is."""
    said = str(error.args[0])
    if not said.startswith(_OURS):
        return error
    lines = [line.strip() for line in said.removeprefix(_OURS).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Caused by", "required by package"))]
    spec = f"{request.name}@{request.requirement}" if request.requirement else request.name
    return UnknownCrateError(f"Cargo cannot add `{spec}`: {'; '.join(told[:3])}", hint=error.hint)


@contextmanager
def _private_folder() -> Iterator[Path]:
    """Make a folder for one command, and remove it, and those of commands that were killed."""
    home = private_cache.folder("info")
    if home is None:
        raise BuildpermError(
            "there is no private cache folder to build in",
            hint="Set XDG_CACHE_HOME to a folder that only you can write to.",
        )
    _sweep(home)
    place = Path(tempfile.mkdtemp(prefix="trial-", dir=home))
    descriptor = _locked(place)
    try:
        yield place
    finally:
        _remove(place)
        if descriptor is not None:
            os.close(descriptor)


def _sweep(home: Path) -> None:
    for place in home.glob("trial-*"):
        descriptor = _locked(place)
        if descriptor is not None:
            _remove(place)
            os.close(descriptor)


def _locked(place: Path) -> int | None:
    """Lock a folder for as long as this process lives; None where another one has it."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove(place: Path) -> None:
    with suppress(OSError):  # The next command tries again.
        private_folder.remove(os.fsencode(place))
