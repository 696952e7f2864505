"""Reads what Git tracks from the index of a repository: gitformat-index(5).

Git itself is not asked: it may be missing, and would run what the repository's settings name.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SIGNATURE = b"DIRC"
_WHOLE = (b"\0\0\0\2", b"\0\0\0\3")  # Versions whose entries hold whole paths.
_SHORTENED = b"\0\0\0\4"
_HEADER = 12
_BEFORE_HASH = 40  # Bytes of an entry.
_HASHES = (20, 32)  # SHA-1, SHA-256.
_EXTENDED = 0x4000  # Of the flags: two bytes more follow.
_LENGTH = 0x0FFF  # Of the flags: the length of the path, or the most there is.
_MODES = frozenset((0o100644, 0o100755, 0o120000, 0o160000, 0o040000))


def tracks_below(place: Path, prefix: bytes) -> bool:
    """Tell whether a repository tracks anything whose path begins with `prefix`.

    Args:
        place: The `.git` of a work tree, a folder or a file.
        prefix: From the root of the work tree, with a slash at its end.
    """
    return any(_has(index, prefix) for index in _indexes(place))


def _indexes(place: Path) -> Iterator[bytes]:
    """Yield the indexes of a repository: gitrepository-layout(5), `index` and `sharedindex.*`."""
    with suppress(OSError, ValueError):
        if place.is_file():  # Of another work tree, or a submodule.
            named = place.read_bytes()[:8192].removeprefix(b"gitdir:").strip()
            place = place.parent / os.fsdecode(named)
        for path in (place / "index", *sorted(place.glob("sharedindex.*"))):
            with suppress(FileNotFoundError):
                yield path.read_bytes()


def _has(index: bytes, prefix: bytes) -> bool:
    if index[:4] != _SIGNATURE:
        return False
    if index[4:8] in _WHOLE:
        return any(_is_path(index, at) for at in _places(index, prefix))
    if index[4:8] != _SHORTENED:
        return False
    for size in _HASHES:
        with suppress(ValueError, IndexError):
            return any(path.startswith(prefix) for path in list(_paths(index, size)))
    return False


def _places(index: bytes, text: bytes) -> Iterator[int]:
    at = index.find(text, _HEADER)
    while at >= 0:
        yield at
        at = index.find(text, at + 1)


def _is_path(index: bytes, at: int) -> bool:
    """Tell whether the path of an entry begins at `at`."""
    length = min(index.find(b"\0", at) - at, _LENGTH)
    plain, extended = (int.from_bytes(index[at - back :][:2], "big") for back in (2, 4))
    is_extended = bool(extended & _EXTENDED) and extended & _LENGTH == length
    return plain & _LENGTH == length or is_extended


def _paths(index: bytes, size: int) -> Iterator[bytes]:
    """Yield the paths of an index of version 4, each of which is told by how it differs.

    Raises:
        ValueError: Its hashes are not of this size.
        IndexError: It was cut short.
    """
    at, path = _HEADER, b""
    for _ in range(int.from_bytes(index[8:12], "big")):
        if int.from_bytes(index[at + 24 : at + 28], "big") not in _MODES:
            raise ValueError("no entry begins here")
        at += _BEFORE_HASH + size
        at += 4 if int.from_bytes(index[at : at + 2], "big") & _EXTENDED else 2
        removed = index[at] & 0x7F
        while index[at] & 0x80:  # As offsets in packs: gitformat-pack(5), OFS_DELTA.
            at += 1
            removed = (removed + 1 << 7) + (index[at] & 0x7F)
        at += 1
        end = index.index(b"\0", at)
        path = path[: len(path) - removed] + index[at:end]
        at = end + 1
        yield path
