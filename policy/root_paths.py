"""Paths as a build script means them that has a root in the place of the machine's system folders.

What is said of a program of a recording, such as by which name PATH leads to it, has to be found
out in there. Only names and links are looked at: nothing of a root is run.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from buildperm.rules import pattern, root_layout

_LINKS_MOST = 40  # path_resolution(7)


def real_path(root: bytes, path: bytes, *, follows_outside: bool = True) -> bytes:
    """Follow the links of an absolute path, as somebody within `root` would.

    Args:
        root: The folder that has `usr` and `etc`.
        path: As it is called within.
        follows_outside: Follow links of the machine, too, where the path leads out of the root.
            Where it is not to, what `..` means is left open there, and stays.
    """
    walked: list[bytes] = []
    pending = path.split(b"/")[::-1]
    links = 0
    while pending:
        name = pending.pop()
        if name in (b"", b"."):
            continue
        if name == b".." and (follows_outside or not walked or root_layout.is_replaced(walked[0])):
            del walked[-1:]
            continue
        walked.append(name)
        is_inside = root_layout.is_replaced(walked[0])
        if not is_inside and not follows_outside:
            continue
        step = b"/" + b"/".join(walked)
        try:
            target = os.readlink(root + step if is_inside else step)
        except OSError:
            continue
        links += 1
        if links > _LINKS_MOST:
            break  # Nobody comes through.
        walked = [] if target.startswith(b"/") else walked[:-1]
        pending += target.split(b"/")[::-1]
    return b"/" + b"/".join(walked)


@dataclass(frozen=True, slots=True)
class SystemPaths:
    """How paths of one recording lead to files: in its root, or on this machine."""

    root: bytes = b""  # Empty: there was none.

    def place(self, path: bytes) -> bytes:
        """Return where on this machine the file lies that is at `path`, links followed."""
        real = self.real(path)
        return self.root + real if self.root and root_layout.covers(real) else real

    def real(self, path: bytes) -> bytes:
        """Return a path with links resolved; what cannot be a path is none of them."""
        if b"\0" in path:
            return path
        if not self.root or not path.startswith(b"/"):
            return os.path.realpath(path)
        return real_path(self.root, path)

    def which(self, name: bytes, path_variable: bytes) -> bytes | None:
        """Return what execvp(3) would start for `name`, as `pattern.which`."""
        if not self.root:
            return pattern.which(name, path_variable)
        if not name or b"/" in name or b"\0" in name:
            return None
        for folder in path_variable.split(b":"):
            program = folder.rstrip(b"/") + b"/" + name
            if folder.startswith(b"/") and self._is_program(program):
                return program
        return None

    def _is_program(self, path: bytes) -> bool:
        place = self.place(path)
        try:
            return stat.S_ISREG(os.lstat(place).st_mode) and os.access(place, os.X_OK)
        except OSError:
            return False
