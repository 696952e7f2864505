"""Where buildperm keeps what it has made or found out: in the user's cache, for nobody else.

Not beside the build, as build scripts fill target directories. What a script was granted to write
in a home folder leaves this out: see `rules.sensitive_table`.
"""

from __future__ import annotations

import os
from pathlib import Path

from buildperm.supervisor import private_folder


def place(name: str) -> Path:
    """Return the path of one folder in it, without links, whether it exists or not."""
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(chosen) if chosen.startswith("/") else Path.home() / ".cache"
    return Path(os.path.realpath(home)) / "buildperm" / name


def is_others(path: Path) -> bool:
    """Tell whether somebody else owns `path`, or may write to it.

    Raises:
        OSError: It is not there.
    """
    found = os.lstat(path)
    return found.st_uid != os.getuid() or bool(found.st_mode & 0o022)


def folder(name: str) -> Path | None:
    """Return one folder in it, which is made if it is not there; None where none can be had."""
    try:
        found = place(name)
        found.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found.mkdir(mode=0o700, exist_ok=True)
        return None if any(map(is_others, (found.parent, found))) else found
    except (OSError, RuntimeError):  # No home folder: pathlib.Path.home.
        return None


def remove(path: Path) -> None:
    """Remove a tree that something hostile has filled, however deep; links are not followed.

    What cannot be removed is left.
    """
    try:
        private_folder.remove(os.fsencode(path))
    except OSError:
        pass
