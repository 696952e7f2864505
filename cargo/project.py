"""What one command line is about: the workspace, its packages, and how Cargo would build them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import arguments as command_lines
from buildperm.cargo import configuration as configurations
from buildperm.cargo import lock as locks
from buildperm.cargo import metadata as metadatas
from buildperm.cargo import toolchain as toolchains

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from buildperm.cargo.arguments import Arguments
    from buildperm.cargo.configuration import Configuration
    from buildperm.cargo.lock import Lock
    from buildperm.cargo.metadata import Metadata
    from buildperm.cargo.toolchain import Toolchain

LEARN = ("check", "--keep-going")
CI = ("build",)


@dataclass(frozen=True, slots=True)
class Project:
    """Everything that is known before anything is built."""

    folder: Path  # Where the command was given; Cargo is run there too.
    environment: Mapping[str, str]  # The user's.
    arguments: Arguments
    toolchain: Toolchain
    configuration: Configuration
    metadata: Metadata
    lock: Lock


def open_project(
    words: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    default: Sequence[str] = CI,
) -> Project:
    """Find out about the command `cargo WORDS`, or `cargo DEFAULT` without words, in `folder`.

    Raises:
        BuildpermError: There is no tool chain, no usable workspace, or the words cannot be held.
    """
    arguments = command_lines.parse(words, default=default)
    toolchain = toolchains.resolve(folder, environment, name=arguments.toolchain)
    configuration = configurations.read(
        folder, toolchain.cargo_home, environment, arguments.configuration
    )
    metadata = metadatas.read(
        toolchain,
        folder,
        environment,
        manifest_path=arguments.manifest_path,
        targets=arguments.targets or configuration.targets,
        flags=arguments.metadata,
    )
    lock = locks.read(metadata.root / "Cargo.lock")
    return Project(folder, environment, arguments, toolchain, configuration, metadata, lock)
