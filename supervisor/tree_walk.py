"""Walks a tree that a build script has filled, and may still change.

Part of the supervisor: os and stat only.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST = 200
"""Folders nested deeper than this are reported and not entered: PATH_MAX is near."""


def walk(top: bytes) -> Iterator[tuple[bytes, os.stat_result | str]]:
    """Yield each path below `top` with its lstat(2), or with what is wrong with a folder."""
    pending = [(top, 0)]
    while pending:
        folder, depth = pending.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    try:
                        about = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    yield entry.path, about
                    if stat.S_ISDIR(about.st_mode) and depth < DEEPEST:
                        pending.append((entry.path, depth + 1))
        except FileNotFoundError:
            continue
        except OSError as error:
            yield folder, f"a folder that cannot be looked into ({error.strerror})"
            continue
        if depth >= DEEPEST:
            yield folder, "too many folders inside each other"
