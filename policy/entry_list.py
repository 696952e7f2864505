"""The list of an index of permissions: where each entry is, and its SHA-256.

Paths are like those of Cargo's sparse index: `3/f/foo/1.0.0.json`, `ab/cd/abcd/1.0.0.json`. The
SHA-256 of the list stands for all of the index. Described in `index-list.schema.json`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from buildperm.errors import BuildpermError
from buildperm.policy.permission_entry import (
    FORMAT,
    HASH,
    NAME,
    VERSION,
    check_format,
    dumped,
)

FILE = "index.json"
"""Name of the list in the folder of an index."""

LIST_MOST = 64 << 20
"""Bytes of a list."""

ENTRY_MOST = 1 << 20
"""Bytes of an entry."""

_PATH = re.compile(r"(?:[^/]+/){2,3}(?P<version>[^/]+)\.json", re.ASCII)


def entry_path(name: str, version: str) -> str:
    """Return where an entry is, relative to the index.

    Raises:
        ValueError: No package of a registry is called so.
    """
    if not NAME.fullmatch(name) or not VERSION.fullmatch(version):
        raise ValueError(f"`{name} {version}` is no package of a registry")
    name = name.lower()
    match len(name):
        case 1 | 2 as length:
            begin = str(length)
        case 3:
            begin = f"3/{name[0]}"
        case _:
            begin = f"{name[:2]}/{name[2:4]}"
    return f"{begin}/{name}/{version}.json"


def is_entry_path(path: str) -> bool:
    """Tell whether an entry can be there."""
    match = _PATH.fullmatch(path)
    if match is None:
        return False
    try:
        return entry_path(path.rsplit("/", 2)[1], match["version"]) == path
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class EntryList:
    """All entries of an index."""

    hashes: Mapping[str, str]  # SHA-256 of each entry, by path.
    buildperm: str = ""  # Version of what has written it.

    def dump(self) -> bytes:
        """Write the list as a file."""
        return dumped(
            {"version": FORMAT, "buildperm": self.buildperm, "entries": dict(self.hashes)}
        )


def parse_list(raw: bytes, expected: str = "") -> EntryList:
    """Read a list; with `expected`, only if that is its SHA-256.

    Raises:
        BuildpermError: It is another one, or none.
    """
    if expected and hashlib.sha256(raw).hexdigest() != expected:
        raise BuildpermError(
            "the list of the index does not have the SHA-256 that was given; nothing of it is used",
            hint="Ask whoever serves the index for the current one.",
        )
    try:
        document = json.loads(raw)
        check_format(document["version"])
        hashes = dict(document["entries"])
        impossible = next(
            (
                path
                for path, digest in hashes.items()
                if not is_entry_path(path) or not HASH.fullmatch(digest)
            ),
            None,
        )
        found = EntryList(hashes, str(document["buildperm"]))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BuildpermError(f"the list of the index is broken: {error}") from error
    if impossible is not None:
        raise BuildpermError(f"the list of the index is broken: no entry is at {impossible!r}")
    return found
