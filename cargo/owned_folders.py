"""Which folders of this machine are somebody's, so that no tree of the baseline reaches into them.

See `supervisor.ownership`, which decides by them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.supervisor.ownership import Ownership

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buildperm.cargo.metadata import Metadata
    from buildperm.cargo.toolchain import Toolchain
    from buildperm.supervisor.exclusion import Excluded

_USERS = "/etc/passwd"
_UID_MIN = 1000  # login.defs(5): of people, not of services.
_NOBODY = 65534
_NONE = (b"/", b"/nonexistent", b"/dev/null")

_FOLDERS = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYENV_ROOT", "TMPDIR")
"""Variables that name a folder of the user's."""


def folders(
    metadata: Metadata, toolchain: Toolchain, environment: Mapping[str, str]
) -> list[bytes]:
    """List what is the build's or the user's besides workspace, target, Cargo's and home folders.

    The paths are absolute, without links and sorted. Packages in CARGO_HOME are part of it.
    """
    found = [each.folder for each in metadata.packages.values() if not each.comes_with_rust]
    found.append(metadata.target_directory)
    if toolchain.rustup_home is not None:
        found.append(toolchain.rustup_home)
    found += [Path(environment[name]) for name in _FOLDERS if environment.get(name)]
    cargo_home = toolchain.cargo_home
    real = {path.resolve() for path in found if path.is_absolute()}
    return sorted(
        os.fsencode(path) for path in real if cargo_home == path or cargo_home not in path.parents
    )


def foreign(places: Mapping[str, bytes], owned: Iterable[bytes]) -> Excluded:
    """Return what lies in the package's folder, MANIFEST_DIR of `places`, and is not its own."""
    return Ownership(places, owned).others(places["MANIFEST_DIR"])


def homes(passwd: str | Path = _USERS) -> list[bytes]:
    """List the home folders of this machine's people, of root and of this user: passwd(5).

    The paths are absolute, without links and sorted. Users that only a directory service knows are
    not among them, nor are the folders of services.
    """
    try:
        lines = Path(passwd).read_bytes().splitlines()
    except OSError:
        return []
    return sorted(set(_real(_home(line) for line in lines)))


def _home(line: bytes) -> bytes:
    """Return the home in a line of passwd(5); empty where it is no person's."""
    fields = line.split(b":")
    if len(fields) < 7 or not fields[2].isdigit() or not fields[5].startswith(b"/"):
        return b""
    number = int(fields[2])
    is_person = number >= _UID_MIN and number != _NOBODY
    return fields[5] if is_person or number in (0, os.getuid()) else b""


def _real(paths: Iterable[bytes]) -> Iterable[bytes]:
    return (os.path.realpath(path) for path in paths if path and path not in _NONE)
