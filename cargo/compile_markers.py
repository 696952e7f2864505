"""What the launcher has left of each compiler call: a marker in a folder of the unit's own.

Each entry is `KEY VALUE` with a NUL behind it; the last one is `end`. See `unit_end` in
`supervisor/compiling/unit.c`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "unit"


@dataclass(frozen=True, slots=True)
class Marker:
    """One compiler call that was made last for its unit."""

    folder: Path  # Of the unit: `buildperm-compile/KEY`.
    manifest: bytes  # Manifest directory of the package.
    digest: str  # Of what it was held to.
    profile: str  # Of the session: learning or enforcing.
    crate: str  # As rustc calls it.
    hash: str  # Behind the names of its outputs; empty where they have none.
    out_dir: bytes
    target: str  # Empty for the host.
    features: tuple[str, ...]
    status: int
    macros: tuple[tuple[str, bytes], ...]  # Folders of their runs, or libraries; packages.
    refused: tuple[tuple[str, bytes], ...]  # `read` or `write`, and a path.
    withheld: tuple[bytes, ...]  # Variables that it asked for.
    dep_info: bytes  # The file in which rustc lists what it read; empty if there is none.
    changed: tuple[int, int]  # Tells this file from one that is written later.

    def recording(self, run: str) -> Path:
        """Return the folder of a run of macros for this unit."""
        return self.folder / run


def read(folder: Path) -> Marker | None:
    """Read the marker of a unit; None where it is missing or broken."""
    path = folder / _NAME
    try:
        found = path.stat()
        entries = path.read_bytes().split(b"\0")
        if entries[-2:] != [b"end ", b""]:
            return None
        said: dict[bytes, list[bytes]] = {}
        for entry in entries[:-2]:
            key, _, value = entry.partition(b" ")
            said.setdefault(key, []).append(value)
        asked = (value.split(b" ", 1) for value in said.get(b"asked", ()))
        return Marker(
            folder=folder,
            manifest=said[b"manifest"][0],
            digest=said[b"digest"][0].decode("ascii"),
            profile=said[b"profile"][0].decode("ascii"),
            crate=os.fsdecode(said[b"crate-name"][0]),
            hash=os.fsdecode(said[b"hash"][0]),
            out_dir=said[b"out-dir"][0],
            target=os.fsdecode(said[b"target"][0]),
            features=tuple(sorted(map(os.fsdecode, said.get(b"feature", ())))),
            status=int(said[b"status"][0]),
            macros=tuple(map(_macro, said.get(b"macro", ()))),
            refused=tuple(map(_refusal, said.get(b"refused", ()))),
            withheld=tuple(name for kind, name in asked if kind == b"env"),
            dep_info=said.get(b"dep-info", [b""])[0],
            changed=(found.st_mtime_ns, found.st_ino),
        )
    except (OSError, ValueError, LookupError):
        return None


def markers(state: Path) -> Iterator[Marker]:
    """Yield all whole markers in the folder of the launcher, by name."""
    try:
        names = sorted(os.listdir(state))
    except OSError:
        return
    for name in names:
        found = read(state / name)
        if found is not None:
            yield found


def unheld(
    folder: Path,
    manifest: bytes,
    profile: str,
    crate: str,
    features: tuple[str, ...],
    dep_info: Path,
) -> Marker:
    """Return what a marker would say of a compilation that no launcher was there for."""
    return Marker(
        folder=folder,
        manifest=manifest,
        digest="",
        profile=profile,
        crate=crate,
        hash="",
        out_dir=os.fsencode(dep_info.parent),
        target="",
        features=features,
        status=0,
        macros=(),
        refused=(),
        withheld=(),
        dep_info=os.fsencode(dep_info),
        changed=(0, 0),
    )


def _macro(value: bytes) -> tuple[str, bytes]:
    library, _, manifest = value.partition(b" ")
    return os.fsdecode(library), manifest


def _refusal(value: bytes) -> tuple[str, bytes]:
    how, _, path = value.partition(b" ")
    return os.fsdecode(how), path
