"""Splits a granted tree around excluded paths: Landlock cannot deny anything inside a grant.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import stat
from _bisect import bisect_left

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Excluded:
    """Excluded paths and what links among them lead to, for quick looks around a path."""

    def __init__(self, paths: Iterable[bytes]) -> None:
        """Take the absolute `paths`; a link does not hide the secret that it points to."""
        self._all = frozenset(real for path in paths for real in (path, os.path.realpath(path)))
        self._sorted = sorted(self._all)

    @staticmethod
    def without_links(paths: Iterable[bytes]) -> Excluded:
        """Take `paths` among which is already all that links among them lead to."""
        made = Excluded(())
        made._all = frozenset(paths)
        made._sorted = sorted(made._all)
        return made

    def __or__(self, other: Excluded) -> Excluded:
        """Return all paths of both."""
        return Excluded.without_links(self._all | other._all)

    def above(self, path: bytes) -> list[bytes]:
        """List what is `path` or a folder above it."""
        found = [b"/"] if b"/" in self._all else []
        end = 0
        while end >= 0:
            end = path.find(b"/", end + 1)
            upper = path if end < 0 else path[:end]
            if upper in self._all and upper not in found:
                found.append(upper)
        return found

    def below(self, path: bytes) -> list[bytes]:
        """List what is below `path`."""
        start = path if path == b"/" else path + b"/"
        first = bisect_left(self._sorted, start)
        last = bisect_left(self._sorted, start[:-1] + b"0")  # The byte after `/`.
        return [other for other in self._sorted[first:last] if other != b"/"]


def remainder(root: bytes, excluded: Excluded) -> list[tuple[bytes, bool]]:
    """List what to grant so that all of `root` is granted but for `excluded`: (path, is a folder).

    This is `root` itself where it holds nothing excluded. `root` has to be without links; what is
    excluded at or above it does not count.

    Where a folder holds something excluded, its children are looked at in turn, and the folder
    itself cannot be listed by whoever gets the grant: the right to list a folder holds for all
    folders below it. Links are left out there. A rule for a link would be a rule for its target,
    and following a link needs no right.
    """
    if not excluded.below(root):
        return [(root, os.path.isdir(root))] if os.path.lexists(root) else []
    found: list[tuple[bytes, bool]] = []
    pending = [root]
    while pending:
        folder = pending.pop()
        # Children that are neither excluded nor hold anything excluded are most of them.
        within = excluded.below(folder)
        start = len(folder) if folder == b"/" else len(folder) + 1
        names = {path[start:].partition(b"/")[0] for path in within}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        continue
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if entry.name not in names:
                        found.append((entry.path, is_folder))
                    elif is_folder and entry.path not in within:
                        pending.append(entry.path)
        except OSError:
            continue  # Whoever may not list it gets nothing of it.
    return found


def listable(root: bytes, excluded: Excluded) -> list[bytes]:
    """List the outermost folders at and below `root` in which nothing but files is excluded.

    To list a folder is to list all below it, whatever else is allowed there. Of a file that tells
    its name, of a folder everything that is in it. `root` has to be without links.
    """
    within = excluded.below(root)
    folders = Excluded.without_links(path for path in within if not _is_file(path))
    found: list[bytes] = []
    pending = [root]
    while pending:
        folder = pending.pop()
        if not folders.below(folder):
            found.append(folder)
            continue
        start = len(folder) if folder == b"/" else len(folder) + 1
        below = excluded.below(folder)
        names = {path[start:].partition(b"/")[0] for path in below}
        inner = (folder[: start - 1] + b"/" + name for name in names)
        pending += [path for path in inner if path not in below and _is_folder(path)]
    return found


def _is_file(path: bytes) -> bool:
    """Tell whether something is there that is no folder; what is made later may be one."""
    try:
        return not stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _is_folder(path: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False
