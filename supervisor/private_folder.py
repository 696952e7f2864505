"""Makes and removes private folders that a build script has filled: the tree is hostile.

Part of the supervisor: errno, os and stat only.
"""

from __future__ import annotations

import errno
import os
import stat

from buildperm.supervisor.tree_walk import DEEPEST
from buildperm.tracer.system_values import open_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_FOLDER_FLAGS = open_flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC")
_moved: list[bytes] = []


def empty(path: bytes) -> None:
    """Make `path` an empty folder that only its owner may enter.

    Raises:
        OSError: It cannot be removed or made.
    """
    remove(path)
    os.mkdir(path, 0o700)


def renew(path: bytes, names: Iterable[bytes]) -> None:
    """Make `path` a folder in which nothing is but the empty folders `names`, all of them private.

    Where it is that already, nothing is changed: to remove a folder takes long.

    Raises:
        OSError: It cannot be removed or made.
    """
    if not is_new(path, names):
        empty(path)
        for name in names:
            os.mkdir(path + b"/" + name, 0o700)


def is_new(path: bytes, names: Iterable[bytes]) -> bool:
    """Tell whether `path` is as `renew` makes it, and nobody has left a word for the next one."""
    try:
        if sorted(map(os.fsencode, os.listdir(path))) != sorted(names):
            return False
        inside = [path + b"/" + name for name in names]
        found = [os.lstat(each) for each in (path, *inside)]
        return (
            {(each.st_mode, each.st_uid) for each in found}
            == {(stat.S_IFDIR | 0o700, os.geteuid())}
            and not any(map(os.listdir, inside))
            and not any(map(_has_attributes, (path, *inside)))
        )
    except OSError:
        return False


def _has_attributes(path: bytes) -> bool:
    """Tell whether somebody has set attributes or access lists: xattr(7); labels are the system's.

    Raises:
        OSError: It is gone.
    """
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return False
    return any(name.startswith(("user.", "trusted.", "system.posix_acl_")) for name in names)


def remove(path: bytes) -> None:
    """Remove `path` and all below it; links are removed, not followed.

    Folders that forbid entry are opened up. What lies deeper than descriptors or PATH_MAX allow is
    moved up first.

    Raises:
        OSError: Something cannot be removed.
    """
    try:
        parent = os.open(os.path.dirname(path), _FOLDER_FLAGS)
    except FileNotFoundError:
        return
    try:
        _remove_in(parent, os.path.basename(path), 0, parent)
        # What was moved up carries names of ours.
        while _moved:
            _remove_in(parent, _moved.pop(), 0, parent)
    finally:
        os.close(parent)


def _remove_in(folder: int, name: bytes, depth: int, top: int) -> None:
    try:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(about.st_mode):
        os.unlink(name, dir_fd=folder)
        return
    if about.st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(name, 0o700, dir_fd=folder)
    if depth >= DEEPEST:
        away = b".deep-%d-%d" % (os.getpid(), about.st_ino)
        os.rename(name, away, src_dir_fd=folder, dst_dir_fd=top)
        _moved.append(away)
        return
    inside = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
    try:
        for child in os.listdir(inside):
            _remove_in(inside, os.fsencode(child), depth + 1, top)
    finally:
        os.close(inside)
    os.rmdir(name, dir_fd=folder)
