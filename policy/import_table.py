"""Writing `import` in Cargo.toml: which files of grants a workspace has from others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from buildperm.errors import BuildpermError
from buildperm.policy import manifest
from buildperm.policy.grants import FORMAT, ImportedGrants
from buildperm.policy.manifest_reader import dotted


def with_import(raw: bytes, entry: ImportedGrants, path: Path) -> bytes:
    """Return the Cargo.toml `raw` with one file imported, in the place of one of its name.

    All else stays as it is written.

    Raises:
        BuildpermError: The file cannot be read, or has no room for it.
    """
    import tomlkit

    text, before = manifest.parse(raw, path)
    home = manifest.table_path(before)
    table: Any = before
    for key in home:
        table = table.get(key, {})
    said = {"file": entry.file, "sha256": entry.sha256, "from": entry.origin}
    had = [dict(each) for each in table.get("import", [])]
    if said in had:
        return raw
    wanted = [said if each.get("file") == entry.file else each for each in had]
    wanted += [] if said in wanted else [said]
    newline = "\r\n" if "\r\n" in text else "\n"
    if not table:
        gap = "" if not text or text.endswith("\n") else newline
        text += f"{gap}{newline}[{dotted(home)}]{newline}version = {FORMAT}{newline}"
    try:
        document: Any = tomlkit.parse(text)
        inner = document
        for key in home:
            inner = inner[key]
        listed = tomlkit.array()
        for each in wanted:
            line = tomlkit.inline_table()
            line.update(each)
            listed.append(line)
        listed.multiline(multiline=True)
        inner["import"] = listed
        after = tomlkit.dumps(document)
    except (tomlkit.exceptions.TOMLKitError, KeyError, TypeError, ValueError) as error:
        raise _no_room(home, path) from error
    bom = manifest.BOM if raw.startswith(manifest.BOM.encode()) else ""
    encoded = (bom + after).encode()
    if not _is_as_meant(before, manifest.parse(encoded, path)[1], home, wanted):
        raise _no_room(home, path)
    return encoded


def _no_room(home: tuple[str, ...], path: Path) -> BuildpermError:
    return BuildpermError(
        f"{path}: the way its tables are written leaves no room for `import`",
        hint=f"Write `[{dotted(home)}]` as a table of its own and try again.",
    )


def _is_as_meant(
    before: dict[str, Any], after: dict[str, Any], home: tuple[str, ...], wanted: list[Any]
) -> bool:
    """Tell whether two documents differ in `import` alone."""
    expected = _copied(before)
    table = expected
    for key in home:
        table = table.setdefault(key, {})
    table.setdefault("version", FORMAT)
    table["import"] = wanted
    return bool(expected == after)


def _copied(value: Any) -> Any:  # noqa: ANN401 - TOML
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value
