"""Reading grants from Cargo.toml: nothing is guessed, every mistake names its line and a way out.

Grants stand in `[workspace.metadata.buildperm]` of the workspace root, or in
`[package.metadata.buildperm]` where the file has no `[workspace]`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from buildperm.errors import BuildpermError
from buildperm.policy import imported_grants, write_conflicts
from buildperm.policy.grants import Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.manifest_reader import ManifestReader, dotted
from buildperm.policy.runtime_table import WEAKEST
from buildperm.printable import printable

BOM = "\ufeff"


def read(raw: bytes, path: Path) -> Policy:
    """Read the grants in the Cargo.toml `raw`; no table means no grants.

    Args:
        raw: The whole file.
        path: Where it is; only used in messages and in the policy.

    Raises:
        BuildpermError: The file is no TOML, or its grant table says what cannot be.
    """
    text, document = parse(raw, path)
    found = policy(text, document, path)
    refuse_unshared(found, text, document)
    return found


def refuse_unshared(found: Policy, text: str, document: Mapping[str, Any]) -> None:
    """Refuse what two crates may write unless somebody says that it is meant.

    Raises:
        BuildpermError: There is such a place.
    """
    unmeant = write_conflicts.conflict(
        write_conflicts.claims(found), [write_conflicts.area(each) for each in found.shared]
    )
    if unmeant is None:
        return
    home = table_path(document)
    table: Any = document
    where = (*home, "crates", unmeant.second.key, str(Kind.WRITE))
    for key in where:
        table = table[key]
    place = (*where, table.index(unmeant.second.pattern))
    ManifestReader(found.manifest, text, home).fail(
        place,
        printable(unmeant.what),
        printable(unmeant.hint(dotted(home), unmeant.narrower.pattern)),
    )


def policy(
    text: str,
    document: dict[str, Any],
    path: Path,
    files: imported_grants.Files | None = None,
) -> Policy:
    """Read the grants in a Cargo.toml that has been parsed; whether they go together is left open.

    `files` are those that it may import, unless they lie beside it.

    Raises:
        BuildpermError: Its grant table says what cannot be.
    """
    home = table_path(document)
    reader = ManifestReader(path, text, home)
    reader.refuse_misplaced(document)
    table: object = document
    for depth, key in enumerate(home):
        assert isinstance(table, dict)
        if key not in table:
            return Policy(WEAKEST, MappingProxyType({}), path)
        table = reader.table(table[key], home[: depth + 1])
    said = reader.table(table, home)
    found = reader.policy(said)
    if "import" not in said:
        return found
    beside = files or imported_grants.from_disk(path.parent)
    return replace(found, imports=imported_grants.read(reader, said, beside))


def parse(raw: bytes, path: Path) -> tuple[str, dict[str, Any]]:
    """Return the text of a Cargo.toml without byte order mark, and what it says.

    Raises:
        BuildpermError: It is no TOML in UTF-8.
    """
    try:
        text = raw.decode().removeprefix(BOM)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BuildpermError(
            f"{path}:{line}: not UTF-8 (byte {raw[error.start]:#04x})",
            hint="Save the file as UTF-8.",
        ) from error
    try:
        return text, tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        pass  # Broken, or of TOML 1.1, which Cargo reads since 1.94: tomlkit knows, and is slower.
    import tomlkit
    from tomlkit.exceptions import ParseError, TOMLKitError

    try:
        return text, tomlkit.parse(text).unwrap()
    except ParseError as error:
        raise BuildpermError(
            f"{path}:{error.line}: broken TOML: {printable(str(error))}",
            hint=f"Fix line {error.line}; `cargo metadata` reports the same place.",
        ) from error
    except (TOMLKitError, RecursionError) as error:
        raise BuildpermError(
            f"{path}: broken TOML: {printable(str(error))}",
            hint="Fix the file; `cargo metadata` reports the same place.",
        ) from error


def table_path(document: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the path of the grant table, there or not: the workspace's where there is one."""
    return ("workspace" if "workspace" in document else "package", "metadata", "buildperm")
