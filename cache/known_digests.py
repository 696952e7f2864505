"""Digests of large files that many runs read: a tool chain's libraries take a second to read.

A digest counts as long as path, size, times, device and inode are what they were, which is also
when a result is restored without reading anything: `run_inputs`.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import json
import os

from buildperm.cache import digest
from buildperm.tracer.notation import encode
from buildperm.tracer.recorder.location import open_regular_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_BYTES = 1 << 18
"""What is smaller is read as fast as it is looked up."""

_MOST = 512  # Files; the oldest are dropped.
_MOST_BYTES = 1 << 20


class KnownDigests:
    """What is known of files, in one file; who can write there could as well make results."""

    def __init__(self, path: bytes) -> None:
        """Read what there is; something else, or nothing, is no digest."""
        self._path = path
        self._known = _read(path)
        self._is_changed = False

    def found(self, path: bytes, signature: Sequence[int]) -> str:
        """Return the digest of a file with this signature; empty if it is not known."""
        return self._known.get(_name(path, signature), "")

    def note(self, path: bytes, signature: Sequence[int], found: str) -> None:
        """Note the digest of a file that has not changed for a while: its times would tell."""
        name = _name(path, signature)
        if self._known.get(name) != found:
            self._known[name] = found
            self._is_changed = True

    def save(self) -> None:
        """Keep what is new.

        Raises:
            OSError: It cannot be written.
        """
        if not self._is_changed:
            return
        # Another run may have ended meanwhile.
        every = list((_read(self._path) | self._known).items())[-_MOST:]
        new = b"%b.%x" % (self._path, os.getpid())
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(file, "wb") as made:
            made.write(json.dumps(dict(every)).encode())
        os.replace(new, self._path)


def _name(path: bytes, signature: Sequence[int]) -> str:
    return " ".join((*map(str, signature), encode(path)))


def _read(path: bytes) -> dict[str, str]:
    try:
        with open(open_regular_file(path), "rb") as file:
            told = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    return {name: each for name, each in told.items() if digest.is_one(each)}
