"""Lists the files below folders, within limits of time and number."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping

from buildperm.rules.pattern import absolute, locate

FILES_MOST = 20_000
"""Files that are listed; of more, the rest is not looked at."""

TIME_MOST_S = 0.2
"""How long is looked."""


def existing(
    bases: Iterable[str],
    places: Mapping[str, bytes],
    *,
    files_most: int = FILES_MOST,
    time_most_s: float = TIME_MOST_S,
) -> tuple[list[str], bool]:
    """Return the files below some folders as targets, and whether these are all.

    Links are listed and not followed. What cannot be listed has nothing that could be counted.

    Args:
        bases: The folders, as targets.
        places: Folders by token.
        files_most: How many files are listed at most.
        time_most_s: After how many seconds listing stops.
    """
    until = time.monotonic() + time_most_s
    found: list[str] = []
    waiting = [path for base in bases if (path := absolute(base, places)) is not None]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            else:
                found.append(locate(entry.path, places))
        if len(found) > files_most or time.monotonic() > until:
            return found[:files_most], False
    return found, True
