"""Counts what a build script has put on the disk.

Part of the supervisor: os and stat only.
"""

from __future__ import annotations

import stat

from buildperm.supervisor.tree_walk import walk
from buildperm.tracer.recorder.run_end import TooManyFiles, TooMuchOutput

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from buildperm.tracer.recorder.run_end import OutputExcess

_BLOCK = 512  # Of st_blocks: inode(7).


class DiskUsage:
    """The space that files take on the disk; a file with several names counts once."""

    def __init__(self) -> None:
        self.bytes = 0
        self.files = 0
        self._known: set[tuple[int, int]] = set()

    def add(self, about: os.stat_result) -> None:
        """Count one entry of a folder."""
        self.files += 1
        if about.st_nlink > 1 and not stat.S_ISDIR(about.st_mode):
            identity = about.st_dev, about.st_ino
            if identity in self._known:
                return
            self._known.add(identity)
        self.bytes += about.st_blocks * _BLOCK

    def excess(self, most_bytes: int, most_files: int) -> OutputExcess | None:
        """Return which limit is exceeded; None if none is. A limit of 0 is none."""
        if 0 < most_bytes < self.bytes:
            return TooMuchOutput()
        return TooManyFiles() if 0 < most_files < self.files else None


def excess(folders: Iterable[bytes], most_bytes: int, most_files: int) -> OutputExcess | None:
    """Return which limit the content of `folders` exceeds by now; None if none.

    The trees may change meanwhile, so this is an estimate; `out_dir.scan` has the last word.
    """
    usage = DiskUsage()
    for folder in folders:
        for _, about in walk(folder):
            if not isinstance(about, str):
                usage.add(about)
                found = usage.excess(most_bytes, most_files)
                if found is not None:
                    return found
    return None
