"""The configuration file of a person: where it is, what it holds, and where it says that roots lie.

No workspace has a say in it: it is looked for with the environment of whoever calls, and a root
that it leads to has to have the digest of Cargo.toml all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from buildperm.cargo.toolchain import home
from buildperm.errors import BuildpermError
from buildperm.printable import shown

ROOTS: Final = "roots"
"""The table that says where roots lie, each by its digest."""

_LARGEST: Final = 1 << 20  # Bytes: nobody writes more by hand.
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def path_of(environment: Mapping[str, str]) -> Path:
    """Return where the file is, or would be.

    Raises:
        BuildpermError: There is no home folder.
    """
    base = Path(environment.get("XDG_CONFIG_HOME", ""))
    if not base.is_absolute():  # Others have to be ignored: XDG Base Directory Specification.
        base = home(environment) / ".config"
    return base / "buildperm" / "config.toml"


def read(path: Path) -> bytes | None:
    """Return the text of the file; None where it is not there.

    Raises:
        BuildpermError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        hint = "Make it readable, or remove it."
        raise problem(path, f"cannot be read: {error.strerror}", hint) from error


def parse(raw: bytes, path: Path) -> dict[str, Any]:
    """Read the text of a configuration file.

    Raises:
        BuildpermError: It is no TOML, or larger than anybody writes.
    """
    import tomllib  # Only now: most people have no such file.

    if len(raw) > _LARGEST:
        raise problem(path, "is larger than a megabyte", "Write only what is to be changed.")
    try:
        return tomllib.loads(raw.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise problem(path, f"broken TOML: {error}", "Correct it, or remove it.") from error


def roots(table: Mapping[str, Any], path: Path) -> Iterator[tuple[str, str]]:
    """Yield the digest of each root, and where it lies: absolute, or below `$HOME/`.

    Raises:
        BuildpermError: Something there is no digest, or no folder.
    """
    said = table.get(ROOTS, {})
    example = '"sha256:…" = "/srv/roots/trixie"'
    if not isinstance(said, dict):
        raise problem(path, "`roots` must be a table", f"Write `[roots]`, and below `{example}`.")
    for digest, folder in said.items():
        if not _DIGEST.fullmatch(digest):
            hint = "`buildperm root digest FOLDER` prints it."
            raise problem(path, f"`roots`: `{digest}` is no digest of a root", hint)
        if not isinstance(folder, str) or not folder.startswith(("/", "$HOME/")):
            hint = f"Write an absolute folder, or one that begins with `$HOME/`: `{example}`."
            raise problem(path, f"`roots.{digest}` cannot be {folder!r}", hint)
        yield digest, folder


def root_folder(digest: str, environment: Mapping[str, str]) -> str:
    """Return where the person says that this root lies; empty where nothing is said.

    Raises:
        BuildpermError: The file is broken, or there is no home folder.
    """
    path = path_of(environment)
    return dict(roots(parse(read(path) or b"", path), path)).get(digest, "")


def problem(path: Path, what: str, hint: str) -> BuildpermError:
    """Return the error for something in the file that is wrong."""
    return BuildpermError(f"{shown(str(path))}: {shown(what)}", hint=shown(hint))
