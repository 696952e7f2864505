"""When this user has first seen a package on this machine: for registries that tell no times.

It is kept in the state folder, where no build script can write. What cannot be read there, or was
written by somebody else, counts as never seen: nothing gets older by being lost.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from buildperm.cargo.standing_state import FIRST_SEEN, replace_text
from buildperm.sandbox import private_cache

_FORMAT = 1


class FirstSight:
    """The times at which packages were first seen, in seconds since 1970."""

    def __init__(self, folder: Path) -> None:
        """Read what is known in the state folder; it need not exist."""
        self._path = folder / FIRST_SEEN
        self._times, self._latest = _read(self._path)

    def of(self, name: str, version: str, checksum: str, now: int) -> int:
        """Return when a package was first seen, which is now if it was not; that is noted.

        A clock that was set back does not make what is seen from then on any older.
        """
        key = f"{name} {version} {checksum}"
        known = self._times.get(key)
        if known is not None:
            return known
        times, latest = _read(self._path)  # Another command may have written meanwhile.
        latest = max(latest, self._latest, now)
        self._times = {key: latest, **times, **self._times}
        self._latest = latest
        self._write()
        return self._times[key]

    def _write(self) -> None:
        document = {"format": _FORMAT, "latest": self._latest, "packages": self._times}
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            text = json.dumps(document, indent=1, sort_keys=True)
            replace_text(self._path, text.encode() + b"\n", 0o600)
        except OSError:
            return  # It stays new for as long as that cannot be written.


def _read(path: Path) -> tuple[dict[str, int], int]:
    try:
        if private_cache.is_others(path.parent) or private_cache.is_others(path):
            return {}, 0
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            document = json.loads(file.read())
        if document["format"] != _FORMAT:
            return {}, 0
        return {str(key): int(at) for key, at in document["packages"].items()}, int(
            document["latest"]
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}, 0
