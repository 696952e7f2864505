"""The scratch folders of a fork server: one run of macros has each of them after the other.

A host of macros hardly ever leaves anything in one, and to make and remove folders takes longer
than to see that. A worker removes what is not as it was.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.supervisor import private_folder, session
from buildperm.supervisor.macro_subject import scratch_folder


class ScratchFolders:
    """Which of them are taken."""

    def __init__(self, server: bytes, path: bytes) -> None:
        """Take a name that no other server has, and the path of the session."""
        self._server = server
        self._path = path
        self._free: list[bytes] = []
        self._made: list[bytes] = []

    def take(self) -> bytes:
        """Return the name of one that nobody else uses."""
        if not self._free:
            self._made.append(b"%s-%d" % (self._server, len(self._made) + 1))
            return self._made[-1]
        return self._free.pop()

    def give_back(self, name: bytes) -> None:
        """Note that a run has ended."""
        self._free.append(name)

    def remove(self) -> None:
        """Remove all of them; every run has ended."""
        if not self._made:
            return
        try:
            target = session.load(self._path)["places"]["TARGET_DIR"]
            for name in self._made:
                private_folder.remove(scratch_folder(target, name))
            os.rmdir(os.path.dirname(scratch_folder(target, b"")))
        except (OSError, ValueError):
            pass  # The session is gone, or the folder around them is another server's, too.
