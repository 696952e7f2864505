"""Sources of a repository that are named after credentials and hold none: `aws-credentials.toml`.

What Git tracks has been shared with whoever has the repository. A name that only speaks of
credentials, among other words, is not enough to take such a file for a secret, where a look into
all of it finds none.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import os

from buildperm.rules import keyfiles

_INDEX_MOST = 64 << 20  # Bytes of an index that is looked into; Chromium's has some 50 MiB.
_SIGNATURE = b"DIRC"
_LENGTH = 0x0FFF  # Of a path, in the last bits of the flags before it; it is the most there is.
_MODES = (b"\x00\x00\x81\xa4", b"\x00\x00\x81\xed")  # Of files, 644 and 755.
_MODE_BEFORE = 38  # Bytes from the mode of an entry to its path: gitformat-index(5).


class TrackedSources:
    """What was found out about the repositories around the files that were asked about."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._indexes: dict[bytes, bytes] = {}

    def holds(self, path: bytes) -> bool:
        """Tell whether the file at `path`, without links, is such a source."""
        folder, _, name = path.rpartition(b"/")
        return (
            keyfiles.is_vague(name.decode("utf-8", "replace"))
            and self._is_tracked(path, folder)
            and _is_clean(path)
        )

    def _is_tracked(self, path: bytes, folder: bytes) -> bool:
        while folder and not os.path.lexists(folder + b"/.git"):
            folder = folder.rpartition(b"/")[0]
        if not folder:
            return False
        if folder not in self._indexes:
            self._indexes[folder] = _index(folder + b"/.git/index")
        return _is_in(self._indexes[folder], path[len(folder) + 1 :])


def _index(path: bytes) -> bytes:
    """Return an index whose entries hold whole paths, which are those of versions 2 and 3."""
    try:
        with open(path, "rb") as file:
            text = file.read(_INDEX_MOST + 1)
    except OSError:
        return b""
    is_known = text[:4] == _SIGNATURE and text[4:8] in (b"\0\0\0\2", b"\0\0\0\3")
    return text if is_known and len(text) <= _INDEX_MOST else b""


def _is_in(index: bytes, path: bytes) -> bool:
    """Tell whether an entry is for the file at `path`."""
    at = index.find(path + b"\0")
    while at >= 0:
        length = int.from_bytes(index[at - 2 : at], "big") & _LENGTH
        start = at - _MODE_BEFORE
        if length == min(len(path), _LENGTH) and index[start : start + 4] in _MODES:
            return True
        at = index.find(path + b"\0", at + 1)
    return False


def _is_clean(path: bytes) -> bool:
    from buildperm.rules import secret_values  # Few files are asked about.

    if keyfiles.by_content(path):
        return False
    try:
        with open(path, "rb") as file:
            text = file.read(keyfiles.LOOKED_INTO_MOST + 1)
    except OSError:
        return False
    return len(text) <= keyfiles.LOOKED_INTO_MOST and not secret_values.secret(text)
