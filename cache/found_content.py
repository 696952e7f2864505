"""What is found at a path: a digest of what a file says or a folder lists, and its signature.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import stat
from errno import ENOENT, ENOTDIR

from buildperm.cache import digest
from buildperm.tracer.recorder.location import open_regular_file

NOT_THERE = (ENOENT, ENOTDIR)
"""What the kernel says where a name does not exist."""

_KERNEL_MOST = 1 << 20  # Bytes that are read of a file of the kernel's.


def signature(about: os.stat_result) -> tuple[int, ...]:
    """Return what changes with a file, where file systems keep times: see `file_times`."""
    return about.st_size, about.st_mtime_ns, about.st_dev, about.st_ino, about.st_ctime_ns


def looked_mode(about: os.stat_result) -> int:
    """Return kind and permissions; those of a terminal are another user's after each login."""
    is_device = stat.S_ISCHR(about.st_mode)
    return stat.S_IFMT(about.st_mode) if is_device else about.st_mode


def content(path: bytes) -> str | OSError:
    """Return the digest of what a regular file holds."""
    try:
        file = open_regular_file(path)
        try:
            return digest.of_descriptor(file)
        finally:
            os.close(file)
    except OSError as error:
        return error


def listing(path: bytes, *, is_ordered: bool = True) -> str | OSError:
    """Return the digest of what a folder lists: names, what kind each is, and in which order."""
    try:
        with os.scandir(path) as entries:
            names = [(each.name, _listed_kind(each)) for each in entries]
    except OSError as error:
        return error
    return digest.of_parts(
        part for entry in (names if is_ordered else sorted(names)) for part in entry
    )


def _listed_kind(entry: os.DirEntry[bytes]) -> bytes:
    """Return what getdents64(2) says that an entry is."""
    if entry.is_symlink():
        return b"l"
    if entry.is_dir(follow_symlinks=False):
        return b"d"
    if entry.is_file(follow_symlinks=False):
        return b"f"
    return b"%o" % stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)


def said_by_kernel(path: bytes) -> str | OSError:
    """Return the digest of a file or folder of the kernel's, whose size and times say nothing."""
    try:
        about = os.lstat(path)
        if stat.S_ISDIR(about.st_mode):
            return listing(path)
        file = open_regular_file(path)
        try:
            content = bytearray()
            while chunk := os.read(file, _KERNEL_MOST):
                content += chunk
                if len(content) > _KERNEL_MOST:
                    return OSError(0, "it says too much")
        finally:
            os.close(file)
    except OSError as error:
        return error
    return digest.of(bytes(content))
