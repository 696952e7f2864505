"""Writing grants into Cargo.toml: what is not ours keeps every byte.

Only the text of the statements that change is replaced, so comments, order, line endings, a byte
order mark and a missing last line feed stay by construction. Values within an inline table are
edited with tomlkit. Every edit is read back before it is handed out: an edit that would say
anything else than was asked for is an error, and nothing has been written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import unified_diff
from pathlib import Path
from typing import Any, TypeAlias

from buildperm.errors import BuildpermError
from buildperm.policy import crate_table, manifest, manifest_reader
from buildperm.policy.field_text import Field
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.policy.kinds import GRANTABLE
from buildperm.policy.replacement import replace_file
from buildperm.policy.version import sort_key

_Said: TypeAlias = Mapping[Field, str | list[str]]


def with_grants(raw: bytes, key: str, grants: CrateGrants, path: Path | None = None) -> bytes:
    """Return the Cargo.toml `raw` with one crate's grants replaced by `grants`.

    A crate whose grants are empty loses its table. What already says the same is left as it is.

    Args:
        raw: The whole file.
        key: The crate's key in the grant table.
        grants: What it is to say.
        path: Where the file is; only used in messages. `Cargo.toml` if None.

    Raises:
        BuildpermError: The file cannot be read, or cannot hold these grants.
    """
    path = path or Path("Cargo.toml")
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
    after = _encoded(raw, edited)
    crates = {**before.crates, key: grants}
    if grants.is_empty():
        del crates[key]
    if not _is_as_meant(document, after, replace(before, crates=crates), home, path):
        raise BuildpermError(
            f"{path}: the way its tables are written leaves no room for grants",
            hint=f"Write `[{manifest_reader.dotted(home)}]` as a table of its own and try again.",
        )
    return after


def with_all_grants(
    raw: bytes, wanted: Mapping[str, CrateGrants], path: Path | None = None
) -> bytes:
    """Return the Cargo.toml `raw` with the grants of several crates replaced.

    The file is read once for all of them, so that thousands take no longer than they must.

    Args:
        raw: The whole file.
        wanted: What the crates are to say, by key.
        path: Where the file is; only used in messages. `Cargo.toml` if None.

    Raises:
        BuildpermError: The file cannot be read, or cannot hold these grants.
    """
    path = path or Path("Cargo.toml")
    text, document = manifest.parse(raw, path)
    before = manifest.policy(text, document, path)
    had = before.crates
    wanted = {key: now for key, now in wanted.items() if had.get(key, CrateGrants(key)) != now}
    home = manifest.table_path(document)
    if len(wanted) > 1 and home[0] in document:
        tables: dict[str, tuple[str, ...]] = {key: (*home, "crates", key) for key in wanted}
        gone = [key for key, now in wanted.items() if now.is_empty()]
        if gone:
            text = crate_table.all_removed(text, [tables[key] for key in gone])
        there = [key for key in wanted if key in had and key not in gone]
        if there:
            said: dict[tuple[str, ...], tuple[_Said, _Said]] = {
                tables[each]: (_fields(had[each]), _fields(wanted[each])) for each in there
            }
            text = crate_table.all_changed(text, said)
        new: dict[tuple[str, ...], _Said] = {
            tables[key]: _fields(wanted[key]) for key in wanted if key not in had
        }
        if new:
            text = crate_table.all_added(text, new, home)
        after = _encoded(raw, text)
        crates = {key: now for key, now in {**had, **wanted}.items() if not now.is_empty()}
        if _is_as_meant(document, after, replace(before, crates=crates), home, path):
            return after
    for key, grants in wanted.items():  # One by one, so that the error names what cannot be.
        raw = with_grants(raw, key, grants, path)
    return raw


def new_table(
    home: tuple[str, ...], key: str, grants: CrateGrants, *, is_first: bool
) -> tuple[str, ...]:
    """Return the lines of a new table of one crate; `is_first` where there are no grants yet."""
    return tuple(crate_table.new((*home, "crates", key), _fields(grants), "\n", is_first=is_first))


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


def _encoded(raw: bytes, text: str) -> bytes:
    """Return an edited text as bytes, with a byte order mark where the file had one."""
    bom = manifest.BOM if raw.startswith(manifest.BOM.encode()) else ""
    return (bom + text).encode()


def _is_as_meant(
    document: dict[str, Any],
    after: bytes,
    expected: Policy,
    home: tuple[str, ...],
    path: Path,
) -> bool:
    """Parse the edited text, and tell whether it differs only where it was meant to."""
    text, edited = manifest.parse(after, path)
    policy = manifest.policy(text, edited, path)
    return policy == expected and _without(edited, home) == _without(document, home)


def _without(document: dict[str, Any], home: tuple[str, ...]) -> dict[str, Any]:
    """Return a document without the grant table, and without tables that only held it."""
    key, *rest = home
    inner = document.get(key)
    others = {name: value for name, value in document.items() if name != key}
    if rest and isinstance(inner, dict):
        remaining = _without(inner, tuple(rest))
        return {**others, key: remaining} if remaining else others
    return others
