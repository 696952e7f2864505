"""What one command line is about: the workspace, its packages, and how Cargo would build them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import arguments as command_lines
from buildperm.cargo import configuration as configurations
from buildperm.cargo import lock as locks
from buildperm.cargo import metadata as metadatas
from buildperm.cargo import replaced_scripts, standard_library
from buildperm.cargo import toolchain as toolchains
from buildperm.errors import BuildpermError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from buildperm.cargo.arguments import Arguments
    from buildperm.cargo.configuration import Configuration
    from buildperm.cargo.lock import CargoLock
    from buildperm.cargo.metadata import Metadata
    from buildperm.cargo.toolchain import Toolchain

LEARN = ("check", "--keep-going")
CI = ("build",)
ALIASED = frozenset(["b", "c", "clippy", "d", "expand", "r", "t"])
"""Commands that a configuration can give another meaning: Cargo's own short words are aliases."""


@dataclass(frozen=True, slots=True)
class Project:
    """Everything that is known before anything is built."""

    folder: Path  # Where the command was given; Cargo is run there too.
    environment: Mapping[str, str]  # The user's.
    arguments: Arguments
    toolchain: Toolchain
    configuration: Configuration
    metadata: Metadata
    lock: CargoLock

    @property
    def replaced(self) -> frozenset[str]:
        """Return the IDs of the packages whose build scripts Cargo's configuration replaces."""
        targets = self.arguments.targets or self.configuration.targets
        libraries = self.configuration.replaced
        return replaced_scripts.replaced(self.metadata, libraries, self.toolchain.host, targets)


class Projects:
    """Opens the workspace of one folder in as many contexts as needed; asks nothing twice."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], *, locked: bool = False
    ) -> None:
        """Prepare for commands that are given in `folder`.

        With `locked` Cargo takes Cargo.lock as it is: one that does not fit is an error.
        """
        self._folder = folder
        self._environment = environment
        self._locked = locked
        self._toolchains: dict[str, Toolchain] = {}
        self._metadata: dict[tuple[object, ...], Metadata] = {}
        self._std: dict[tuple[object, ...], tuple[Metadata, CargoLock]] = {}
        self._locks: dict[Path, CargoLock] = {}

    def open(self, words: Sequence[str], *, default: Sequence[str] = CI) -> Project:
        """Find out about the command `cargo WORDS`, or `cargo DEFAULT` without words.

        Raises:
            BuildpermError: There is no tool chain, no usable workspace, or the words cannot be
                held.
        """
        arguments = command_lines.parse(words, default=default)
        toolchain = self._toolchain(arguments.toolchain)
        configuration = configurations.read(
            self._folder, toolchain.cargo_home, self._environment, arguments.configuration
        )
        _refuse_alias(arguments.command, configuration)
        targets = arguments.targets or configuration.targets
        metadata = self._ask(toolchain, arguments, targets)
        for value in configuration.unclear:  # Had Cargo not understood it either, it would say so.
            raise BuildpermError(
                f"cannot understand `--config {value}`",
                hint="Name a file, or write KEY=VALUE in TOML 1.0.",
            )
        lock = self._locks.get(metadata.root)
        if lock is None:
            lock = self._locks[metadata.root] = locks.read(metadata.root / "Cargo.lock")
        if standard_library.is_built(arguments, configuration, toolchain, self._environment):
            metadata, lock = self._with_std(metadata, lock, toolchain, arguments)
        return Project(
            self._folder, self._environment, arguments, toolchain, configuration, metadata, lock
        )

    def _toolchain(self, name: str) -> Toolchain:
        known = self._toolchains.get(name)
        if known is None:
            known = toolchains.resolve(self._folder, self._environment, name=name)
            self._toolchains[name] = known
        return known

    def _with_std(
        self, metadata: Metadata, lock: CargoLock, toolchain: Toolchain, arguments: Arguments
    ) -> tuple[Metadata, CargoLock]:
        flags = self._flags(arguments)
        key = toolchain.cargo, arguments.manifest_path, arguments.targets, flags
        known = self._std.get(key)
        if known is None:
            known = self._std[key] = standard_library.add(
                metadata,
                lock,
                toolchain,
                self._folder,
                self._environment,
                manifest_path=arguments.manifest_path,
                targets=arguments.targets,
                flags=flags,
            )
        return known

    def _flags(self, arguments: Arguments) -> tuple[str, ...]:
        flags = arguments.metadata
        if self._locked and not {"--locked", "--frozen"}.intersection(flags):
            return (*flags, "--locked")
        return flags

    def _ask(
        self, toolchain: Toolchain, arguments: Arguments, targets: tuple[str, ...]
    ) -> Metadata:
        flags = self._flags(arguments)
        key = toolchain.cargo, arguments.manifest_path, targets, flags
        known = self._metadata.get(key)
        if known is None:
            known = self._metadata[key] = metadatas.read(
                toolchain,
                self._folder,
                self._environment,
                manifest_path=arguments.manifest_path,
                targets=targets,
                flags=flags,
            )
        return known


def _refuse_alias(command: str, configuration: Configuration) -> None:
    """Refuse a command that is understood as one of Cargo's own and that Cargo takes for another.

    Only those that are programs of their own in Cargo itself cannot be an alias: see the Cargo
    book, "Configuration", `[alias]`.
    """
    if command in ALIASED and command in configuration.aliases:
        raise BuildpermError(
            f"`cargo {command}` is an alias in Cargo's configuration",
            hint="Write out what it stands for, or remove it from `[alias]`.",
        )
