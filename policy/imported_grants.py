"""Grants of an organisation: files in the workspace that Cargo.toml names with their digest.

Such a file is read as it lies there, and nothing is fetched: `buildperm import` has put it there,
to be committed. What it says counts beside the workspace's own tables, and never opens the
sensitive tier. See `policy.grants.CrateGrants.imported` for what wins.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from buildperm.errors import BuildpermError
from buildperm.policy import validation, write_conflicts
from buildperm.policy.grants import CrateGrants, ImportedGrants
from buildperm.policy.kinds import GRANTABLE, Kind
from buildperm.policy.manifest_reader import ManifestReader
from buildperm.policy.toml_statement import Path as Keys
from buildperm.printable import is_nameable, printable

Files = Callable[[str], bytes]
"""Returns a file of the workspace by its path from the root; raises OSError."""

LARGEST = 4 << 20
"""Bytes of such a file at most."""

_ENTRY_KEYS = ("file", "sha256", "from")
_FILE_KEYS = ("version", "crates")
_CRATE_KEYS = ("reviewed", "presets", *GRANTABLE, "deny", "reason", "expires")
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


def digest(raw: bytes) -> str:
    """Return what Cargo.toml has as `sha256` of a file."""
    return hashlib.sha256(raw).hexdigest()


def from_disk(root: Path) -> Files:
    """Return the files below the folder of a Cargo.toml."""

    def read(name: str) -> bytes:
        descriptor = os.open(root / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            return file.read(LARGEST + 1)

    return read


def read(
    reader: ManifestReader, table: Mapping[str, Any], files: Files
) -> tuple[ImportedGrants, ...]:
    """Read all files that the grant table imports; the earlier ones count first.

    Raises:
        BuildpermError: One is missing, is not what Cargo.toml says, or says what cannot be.
    """
    where = (*reader.home, "import")
    listed = table.get("import", [])
    if not isinstance(listed, list):
        reader.fail(where, "must be a list of tables", _HINT)
    found: list[ImportedGrants] = []
    for index, entry in enumerate(listed):
        found.append(_entry(reader, reader.table(entry, (*where, index)), (*where, index), files))
        if found[-1].file in {each.file for each in found[:-1]}:
            reader.fail((*where, index), f"`{found[-1].file}` is imported twice", "Remove one.")
    return tuple(found)


_HINT = "`buildperm import FILE` writes it."


def _entry(
    reader: ManifestReader, said: Mapping[str, Any], where: Keys, files: Files
) -> ImportedGrants:
    reader.refuse_unknown(dict(said), where, _ENTRY_KEYS)
    for key in _ENTRY_KEYS:
        if key not in said:
            reader.fail(where, f"`{key}` is missing", _HINT)
    file, sha256, origin = (reader.string(said[key], (*where, key)) for key in _ENTRY_KEYS)
    parts = file.split("/")
    if not is_nameable(file + origin) or not file or {"", ".", ".."} & {*parts}:
        reader.fail(
            (*where, "file"),
            f"`{printable(file)}` is no path of a file in the workspace",
            'Write its path from here, such as `file = "grants/acme.toml"`.',
        )
    if not _DIGEST.fullmatch(sha256):
        reader.fail((*where, "sha256"), "must be 64 hexadecimal digits", _HINT)
    try:
        raw = files(file)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        reader.fail((*where, "file"), f"cannot read `{file}`: {why}", _HINT)
    if digest(raw) != sha256:
        reader.fail(
            (*where, "sha256"),
            f"`{file}` is not the file that was imported: it has {digest(raw)}",
            "Have the file restored, or look at what changed and import it again.",
        )
    return ImportedGrants(file, sha256, origin, parse(raw, reader.path.parent / file))


def parse(raw: bytes, path: Path) -> Mapping[str, CrateGrants]:
    """Read a file of grants; `path` is only used in messages.

    Raises:
        BuildpermError: It says what no such file can.
    """
    if len(raw) > LARGEST:
        raise BuildpermError(f"{path}: it is larger than {LARGEST} bytes", hint="Get it anew.")
    try:
        text = raw.decode()
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BuildpermError(f"{path}: {printable(str(error))}", hint="Get it anew.") from error
    reader = ManifestReader(path, text, ())
    reader.refuse_unknown(document, (), _FILE_KEYS)
    reader.check_version(document)
    crates = reader.table(document.get("crates", {}), ("crates",))
    return MappingProxyType({key: _crate(reader, key, said) for key, said in crates.items()})


def _crate(reader: ManifestReader, key: str, said: object) -> CrateGrants:
    where = ("crates", key)
    table = reader.table(said, where)
    reader.refuse_unknown(table, where, _CRATE_KEYS)
    found = reader.crate(key, said)
    for rule, place in reader.rules(table, where).items():
        if validation.to_grant(rule, reason="") is not None:  # With a reason, it could be one.
            reader.fail(
                place,
                f"`{key}`: `{printable(rule.pattern)}` is of the sensitive tier, which no imported "
                "grant opens",
                "Remove it there; who needs it grants it by hand in his own Cargo.toml.",
            )
        if rule.kind is Kind.WRITE and not write_conflicts.is_own(rule.pattern):
            reader.fail(
                place,
                f"`{key}`: `{printable(rule.pattern)}`: what is written depends on the workspace",
                "Remove it there; who needs it grants it in his own Cargo.toml.",
            )
    return found
