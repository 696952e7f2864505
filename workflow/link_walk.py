"""Follows the links in a path as a build script would, and not as the process that is asked.

`/proc/self` leads every process to itself, and so do `/dev/stdin`, `/dev/fd` and `/etc/mtab`, which
are links there (proc_pid(5), proc_mounts(5)). What lies below is named as recordings name it.
"""

from __future__ import annotations

import os
import re

_LINKS_MOST = 40  # path_resolution(7): as many as the kernel follows.
_OWN = re.compile(rb"/proc/(?:self|thread-self)(?:/task/[0-9]+)?")
_PROCESS = re.compile(rb"/proc/(?:self|thread-self|[0-9]+)(?:/.*)?", re.DOTALL)


def followed(path: bytes, folder: bytes | None) -> bytes:
    """Return what an absolute path leads to.

    Args:
        path: It need not exist.
        folder: Where the build script starts; None if that is not known.
    """
    done, links = b"", 0
    left = path.split(b"/")[::-1]
    while left:
        part = left.pop()
        if part in (b"", b"."):
            continue
        if part == b"..":
            done = done.rpartition(b"/")[0]
            continue
        step = b"/".join((done, part))
        if _OWN.fullmatch(done) and part == b"root":
            done = b""
        elif _OWN.fullmatch(done) and part == b"cwd" and folder is not None:
            done, left = b"", [*left, *folder.split(b"/")[::-1]]
        elif _PROCESS.fullmatch(step) or links >= _LINKS_MOST:
            done = step  # Links there are others for each process.
        else:
            try:
                target = os.readlink(step)
            except OSError:
                done = step  # No link, nothing there, or nothing that we may look at.
                continue
            links += 1
            left += target.split(b"/")[::-1]
            done = b"" if target.startswith(b"/") else done
    return done or b"/"


def is_own(path: bytes) -> bool:
    """Tell whether a path that was followed names something else for each process."""
    return path.startswith((b"/proc/self/", b"/proc/thread-self/"))
