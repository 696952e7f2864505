"""Program search: what was meant when a program was tried along PATH: execvp(3)."""

from __future__ import annotations

import posixpath
from errno import ENOENT
from typing import TYPE_CHECKING

from buildperm.policy import presets
from buildperm.tracer.notation import encode

if TYPE_CHECKING:
    from buildperm.policy.target_names import TargetNames
    from buildperm.tracer.recording.event import Executed


class ProgramSearch:
    """Tells one wanted program from the many paths at which it was tried."""

    def __init__(self, names: TargetNames) -> None:
        """Prepare for the PATH of a script, in which `names` finds programs."""
        self._names = names
        self._folders = names.path.split(b":")
        self._refused: set[tuple[int, tuple[bytes, ...]]] = set()

    def is_missing(self, event: Executed) -> bool:
        """Tell whether a program was looked for along PATH and is nowhere."""
        folder, name = posixpath.split(event.requested)
        is_search = event.errno == ENOENT and not event.refused and folder in self._folders
        return is_search and self._names.found(name) is None

    def foreseen(self, event: Executed) -> str:
        """Name a program that is missing, if a preset foresees it; empty if not."""
        called = encode(posixpath.basename(event.requested))
        return called if self.is_missing(event) and presets.is_foreseen(called) else ""

    def goes_on(self, event: Executed) -> bool:
        """Tell whether a refused program was only tried because its namesake had been refused.

        execvp(3) goes on along PATH then: somebody wanted one program, by its name. Who means a
        certain file says so in the first argument, or has not been refused what the name means.
        """
        name = posixpath.basename(event.requested)
        if not event.argv or event.argv[0] != name:
            return False
        search = event.pid, event.argv
        if event.requested == self._names.found(name):
            self._refused.add(search)
            return False
        return search in self._refused and posixpath.dirname(event.requested) in self._folders
