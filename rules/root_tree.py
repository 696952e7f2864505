"""Everything in a root that a build script may see of it, and what tells it from any change.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import stat

from buildperm.rules import root_layout
from buildperm.tracer.notation import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST = 2_000_000  # Files: a system has some ten thousand.
_LARGEST = 100 << 30  # Bytes, holes too: all of them are read.


class NoRootError(Exception):
    """It is no root that can be used; the text says why, as a clause."""


class RootEntry:
    """One file, folder or link."""

    __slots__ = ("about", "path", "target")

    def __init__(self, path: bytes, about: os.stat_result, target: bytes = b"") -> None:
        """Take what was found.

        Args:
            path: From the root, without a slash at the beginning.
            about: As lstat(2) says.
            target: What a link says; empty for all else.
        """
        self.path = path
        self.about = about
        self.target = target


def entries(root: bytes) -> list[RootEntry]:
    """List all of it, sorted by path.

    Raises:
        OSError: It cannot be read.
        NoRootError: It is no root.
    """
    names = filter(root_layout.is_replaced, os.listdir(root))
    found = [_entry(root, name) for name in names]
    folders = {each.path for each in found if stat.S_ISDIR(each.about.st_mode)}
    for name in root_layout.NEEDED:
        if name not in folders:
            raise NoRootError(f"it has no folder `{name.decode()}`, or only a link")
    for each in found:
        if stat.S_ISREG(each.about.st_mode):
            raise NoRootError(f"`{encode(each.path)}` is no folder")
    pending, size = [*folders], 0
    while pending:
        folder = pending.pop()
        for name in os.listdir(root + b"/" + folder):
            entry = _entry(root, folder + b"/" + name)
            found.append(entry)
            if stat.S_ISDIR(entry.about.st_mode):
                pending.append(entry.path)
            elif not entry.target:
                size += entry.about.st_size
        if size > _LARGEST:
            raise NoRootError(f"its files have more than {_LARGEST >> 30} GiB")
        if len(found) > _MOST:
            raise NoRootError(f"it has more than {_MOST:,} files")
    found.sort(key=lambda each: each.path)
    return found


def _entry(root: bytes, path: bytes) -> RootEntry:
    about = os.lstat(root + b"/" + path)
    if stat.S_ISLNK(about.st_mode):
        return RootEntry(path, about, os.readlink(root + b"/" + path))
    if not stat.S_ISDIR(about.st_mode) and not stat.S_ISREG(about.st_mode):
        raise NoRootError(f"`{encode(path)}` is a device, a socket or a pipe")
    return RootEntry(path, about)


def signature(root: bytes, found: list[RootEntry]) -> str:
    """Return a digest of inodes, permissions, sizes and times: what nobody changes unnoticed."""
    import hashlib  # Only where there is a root.

    told = hashlib.blake2b(root + b"\0", digest_size=32)
    for each in found:
        about = each.about
        told.update(each.path + b"\0")
        told.update(b"%d %d %d " % (about.st_dev, about.st_ino, about.st_mode))
        told.update(b"%d %d %d\n" % (about.st_size, about.st_mtime_ns, about.st_ctime_ns))
    return told.hexdigest()


def top(found: Iterable[tuple[bytes, os.stat_result]]) -> bytes:
    """Return what tells the entries of `/` in one root from those of another in the same place.

    Who puts another folder there and the first one back changes nothing in either.

    Args:
        found: Names, and what lstat(2) says of each.
    """
    lines = (
        b"%d %d %d %s" % (about.st_dev, about.st_ino, about.st_ctime_ns, name)
        for name, about in found
    )
    return b"\0".join(sorted(lines))
