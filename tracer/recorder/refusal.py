"""Tells a refusal by the sandbox from a failure that would have happened anyway.

This process runs as the same user, but outside the sandbox. Where a call fails with EACCES, EPERM,
EXDEV or EROFS, it finds out whether *it* could do the same to the same path. It opens and changes
nothing to do so: that would have effects of its own on a FIFO, a tape, a lock.
ENOENT is never a refusal, unless a sandbox wrapper does not show everything: then it is
one where the path is not mounted within and leads to something outside.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import posixpath
import stat
from errno import EACCES, ENOENT, ENOTDIR, EPERM, EROFS, EXDEV

SANDBOX_ERRNOS = frozenset((EACCES, EPERM, EXDEV, EROFS))
"""What a sandbox answers. Landlock: landlock(7) EACCES, EXDEV; a read-only bind mount: EROFS."""

ABSENCE_ERRNOS = frozenset((ENOENT, ENOTDIR))
"""What a sandbox wrapper answers for what it does not show; elsewhere they are never a refusal."""

# CAP_DAC_OVERRIDE, CAP_FOWNER: capabilities(7)
_EVERYTHING = hasattr(os, "geteuid") and os.geteuid() == 0


def may_open(path: bytes, *, reading: bool, writing: bool, creating: bool, owning: bool) -> bool:
    """Tell whether `path` could be opened outside.

    Args:
        path: Absolute.
        reading: It is opened for reading.
        writing: It is opened for writing, or is truncated.
        creating: It may be made where it is absent.
        owning: O_NOATIME was asked for: only the owner may, open(2).
    """
    if creating and not os.path.lexists(path):
        return may_make(path)
    if owning and not _is_owner(path):
        return False
    return _may(path, (os.R_OK if reading else 0) | (os.W_OK if writing else 0))


def may_execute(path: bytes) -> bool:
    """Tell whether `path` could be executed outside."""
    return os.path.isfile(path) and _may(path, os.X_OK)


def may_make(path: bytes) -> bool:
    """Tell whether the name `path` could be made outside."""
    return _may(posixpath.dirname(path), os.W_OK | os.X_OK)


def may_remove(path: bytes) -> bool:
    """Tell whether the name `path` could be taken away outside.

    unlink(2), EPERM: in a sticky directory that takes owning the file or the directory.
    """
    parent = posixpath.dirname(path)
    if not os.path.lexists(path) or not _may(parent, os.W_OK | os.X_OK):
        return False
    try:
        is_sticky = os.stat(parent).st_mode & stat.S_ISVTX
    except OSError:
        return False
    return not is_sticky or _is_owner(parent) or _is_owner(path, follow=False)


def may_rename(old: bytes, new: bytes) -> bool:
    """Tell whether `old` could be renamed to `new` outside."""
    if not may_remove(old) or not _is_one_mount(old, new):
        return False
    return may_remove(new) if os.path.lexists(new) else may_make(new)


def may_link(old: bytes, new: bytes) -> bool:
    """Tell whether `new` could become another name of `old` outside.

    proc_sys_fs(5), protected_hardlinks: for others' files that takes being able to read and write.
    """
    if not may_make(new) or not _is_one_mount(old, new):
        return False
    return _is_owner(old, follow=False) or _may(old, os.R_OK | os.W_OK)


def may_change(change: str, path: bytes, other: bytes) -> bool:
    """Tell whether a change (see `tracer.recording.event.Change`) could be made outside."""
    if change == "removed":
        return may_remove(path)
    if change == "renamed":
        return may_rename(other, path)
    if change == "linked":
        return may_link(other, path)
    if change in ("symlinked", "directory-made", "node-made"):
        return may_make(path)
    if change == "truncated":
        return _may(path, os.W_OK)
    if change == "times-changed":  # utimensat(2), EACCES: writing is enough for "now"
        return _is_owner(path) or _may(path, os.W_OK)
    if change == "owner-changed":
        return _EVERYTHING and _is_writable_mount(path)
    if change == "attribute-changed":
        return _may(path, os.W_OK)
    return _is_owner(path) and _is_writable_mount(path)


def _may(path: bytes, mode: int) -> bool:
    """Ask access(2) about `mode` with the effective user; existence where `mode` is 0."""
    try:
        return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)
    except (OSError, ValueError):
        return False


def _is_owner(path: bytes, *, follow: bool = True) -> bool:
    if _EVERYTHING:
        return True
    try:
        return os.stat(path, follow_symlinks=follow).st_uid == os.geteuid()
    except OSError:
        return False


def _is_writable_mount(path: bytes) -> bool:
    try:
        return not os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError:
        return False


def _is_one_mount(first: bytes, second: bytes) -> bool:
    """Tell whether two names lie on one mount: rename(2), EXDEV."""
    places = []
    for path in (first, second):
        try:
            file = os.open(posixpath.dirname(path), os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            with open(b"/proc/self/fdinfo/%d" % file, "rb") as details:
                places.append([line for line in details if line.startswith(b"mnt_id:")])
        except OSError:
            return False
        finally:
            os.close(file)
    return places[0] == places[1]
