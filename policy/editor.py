"""Writing grants into Cargo.toml: what is not ours keeps every byte.

Only the text of the statements that change is replaced, so comments, order, line endings, a byte
order mark and a missing last line feed stay by construction. Values within an inline table are
edited with tomlkit. Every edit is read back before it is handed out: an edit that would say
anything else than was asked for is an error, and nothing has been written.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import unified_diff
from pathlib import Path
from typing import Any

from buildperm.errors import BuildpermError
from buildperm.policy import crate_table, manifest, manifest_reader
from buildperm.policy.crate_table import Field
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import GRANTABLE
from buildperm.policy.replacement import replace_file
from buildperm.policy.version import sort_key


def with_grants(
    raw: bytes, key: str, grants: CrateGrants, path: Path = Path("Cargo.toml")
) -> bytes:
    """Return the Cargo.toml `raw` with one crate's grants replaced by `grants`.

    A crate whose grants are empty loses its table. What already says the same is left as it is.

    Args:
        raw: The whole file.
        key: The crate's key in the grant table.
        grants: What it is to say.
        path: Where the file is; only used in messages.

    Raises:
        BuildpermError: The file cannot be read, or cannot hold these grants.
    """
    text, document = manifest.parse(raw, path)
    before = manifest.policy(text, document, path)
    if before.crates.get(key, CrateGrants(key)) == grants:
        return raw
    home = manifest.table_path(document)
    if home[0] not in document:
        raise BuildpermError(
            f"{path}: neither `[package]` nor `[workspace]`",
            hint="Run it in the folder of a workspace or package.",
        )
    crate = (*home, "crates", key)
    if grants.is_empty():
        edited = crate_table.removed(text, crate)
    elif key in before.crates:
        edited = crate_table.changed(text, crate, _fields(before.crates[key]), _fields(grants))
    else:
        edited = crate_table.added(text, crate, _fields(grants))
    bom = manifest.BOM if raw.startswith(manifest.BOM.encode()) else ""
    after = (bom + edited).encode()
    crates = {**before.crates, key: grants}
    if grants.is_empty():
        del crates[key]
    _check(document, after, replace(before, crates=crates), home, path)
    return after


def diff(before: bytes, after: bytes, name: str = "Cargo.toml") -> str:
    """Return the unified diff of two versions of a file, fit for `patch -p1`; empty if none."""
    lines = unified_diff(_lines(before), _lines(after), f"a/{name}", f"b/{name}")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def write_atomically(path: Path, before: bytes, after: bytes) -> None:
    """Replace the file at `path` by `after`, all or nothing, if it still holds `before`.

    Mode and owner stay; a symbolic link is followed, not replaced.

    Raises:
        BuildpermError: It holds something else by now, or cannot be written; it is untouched.
    """
    replace_file(
        path,
        before,
        after,
        changed_hint="Run the command again: decisions are kept.",
        failed_hint="Make the file and its folder writable; `--dry-run` only prints the diff.",
    )


def _lines(raw: bytes) -> list[str]:
    """Cut a file into lines at line feeds only, as `diff` does."""
    text = raw.decode(errors="surrogateescape")
    pieces = text.split("\n")
    return [f"{piece}\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def _fields(grants: CrateGrants) -> dict[Field, str | list[str]]:
    """Write grants as the fields of a crate's table, without those that are empty."""
    said: dict[Field, str | list[str]] = {
        ("reviewed",): sorted(grants.reviewed, key=sort_key),
        ("presets",): sorted(grants.presets),
        ("for",): sorted(grants.consumers),
        ("compile",): grants.compile,
        ("reason",): grants.reason,
        ("expires",): str(grants.expires or ""),
    }
    for kind in GRANTABLE:
        said[str(kind),] = sorted(rule.pattern for rule in grants.rules if rule.kind is kind)
        said["deny", str(kind)] = sorted(
            rule.pattern for rule in grants.denials if rule.kind is kind
        )
    return {field: value for field, value in said.items() if value}


def _check(
    document: dict[str, Any],
    after: bytes,
    expected: Policy,
    home: tuple[str, ...],
    path: Path,
) -> None:
    """Parse the edited text, and make sure that it differs only where it was meant to."""
    text, edited = manifest.parse(after, path)
    policy = manifest.policy(text, edited, path)
    if policy != expected or _without(edited, home) != _without(document, home):
        raise BuildpermError(
            f"{path}: the way its tables are written leaves no room for grants",
            hint=f"Write `[{manifest_reader.dotted(home)}]` as a table of its own and try again.",
        )


def _without(document: dict[str, Any], home: tuple[str, ...]) -> dict[str, Any]:
    """Return a document without the grant table, and without tables that only held it."""
    key, *rest = home
    inner = document.get(key)
    others = {name: value for name, value in document.items() if name != key}
    if rest and isinstance(inner, dict):
        remaining = _without(inner, tuple(rest))
        return {**others, key: remaining} if remaining else others
    return others
