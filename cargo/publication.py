"""When a version of a crate was published, as the index of its registry has told Cargo.

Cargo keeps what it has asked for in `$CARGO_HOME/registry/index/REGISTRY/.cache`: some bytes about
the format, then version and entry by turns, each ended by a zero byte (`cargo::sources::registry::
index::cache`). A local registry has the entries in files of lines (Cargo book, "Source
Replacement"). Newer entries have `pubtime`, in UTC (Cargo book, "Index Format").
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

_CONFIGURATIONS = ("config.toml", "config")


def published(cargo_home: Path, root: Path, name: str, version: str, checksum: str) -> int | None:
    """Return when a version was published, in seconds since 1970; None if no index says so.

    Entries count by their checksum: a namesake of another registry has another one. Where several
    have it, the latest time counts.

    Args:
        cargo_home: Cargo's home folder.
        root: Of the workspace.
        name: Of the crate.
        version: Of the crate.
        checksum: As Cargo.lock has it.
    """
    times = [
        time
        for file in _files(cargo_home, root, name)
        for entry in _entries(file, version)
        if entry.get("cksum") == checksum and (time := _seconds(entry.get("pubtime"))) is not None
    ]
    return max(times, default=None) if checksum else None


def _files(cargo_home: Path, root: Path, name: str) -> Iterator[Path]:
    low = name.lower()
    folder = f"{low[:2]}/{low[2:4]}" if len(low) > 3 else f"3/{low[0]}" if len(low) == 3 else ""
    place = f"{folder or len(low)}/{low}"
    try:
        registries = sorted((cargo_home / "registry" / "index").iterdir())
    except OSError:
        registries = []
    for registry in registries:
        yield registry / ".cache" / place
    for registry in _local_registries(cargo_home, root):
        yield registry / "index" / place


def _local_registries(cargo_home: Path, root: Path) -> Iterator[Path]:
    for folder in (cargo_home, *(each / ".cargo" for each in (root, *root.parents))):
        for file in _CONFIGURATIONS:
            try:
                sources = tomllib.loads((folder / file).read_text()).get("source", {})
                named = [each.get("local-registry") for each in sources.values()]
            except (OSError, ValueError, AttributeError, RecursionError):
                continue  # Cargo says what is wrong with it.
            for each in named:
                if isinstance(each, str) and each and "\0" not in each:
                    yield folder.parent / each


def _entries(file: Path, version: str) -> Iterator[dict[str, object]]:
    try:
        raw = file.read_bytes()
    except OSError:
        return
    mark = json.dumps(version).encode()
    for piece in raw.replace(b"\n", b"\0").split(b"\0"):
        if piece.startswith(b"{") and mark in piece:
            try:
                entry = json.loads(piece)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict) and entry.get("vers") == version:
                yield entry


def _seconds(text: object) -> int | None:
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
        return int(found.timestamp()) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None
