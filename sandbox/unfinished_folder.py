"""A folder that gets its name when it is complete, and what is left of those that never were.

Until then it lies beside the name that it will have, for this user alone, and is locked. Who is
killed meanwhile leaves it there without a lock: so the next one for the same name removes it.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_MARK = ".buildperm-unfinished"
"""A file in it, by which it is known from a folder that somebody has called the same."""


@dataclass(frozen=True, slots=True)
class UnfinishedFolder:
    """A new folder, which is written to by its descriptor: whatever is put in its place."""

    path: Path
    name: Path  # The one that it will have.
    descriptor: int

    @property
    def inside(self) -> bytes:
        """Return a path of this process that leads there, also when it is moved: proc(5)."""
        return b"/proc/self/fd/%d" % self.descriptor

    def finish(self) -> None:
        """Let it have its name; what is in it is on the disk before.

        Raises:
            OSError: It cannot, or something else is there by now.
        """
        os.fchmod(self.descriptor, 0o755)
        _write_back(self.descriptor)
        if not _is_at(self.path, self.descriptor):
            raise FileNotFoundError(2, "it was moved meanwhile", str(self.path))
        os.unlink(_MARK, dir_fd=self.descriptor)
        os.rename(self.path, self.name)  # Only onto nothing, or an empty folder: rename(2).
        above = os.open(self.name.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(above)
        finally:
            os.close(above)


@contextmanager
def begin(name: Path) -> Iterator[UnfinishedFolder]:
    """Make a folder beside `name`; it is removed unless it was finished.

    Raises:
        OSError: It cannot be made.
    """
    _remove_left(name)
    made = _made(name)
    try:
        yield made
    except BaseException as error:
        if _is_at(made.path, made.descriptor):
            shutil.rmtree(made.path, ignore_errors=True)
        if isinstance(error, OSError) and isinstance(error.filename, bytes):
            error.filename = error.filename.replace(made.inside, os.fsencode(name), 1)
        raise
    finally:
        os.close(made.descriptor)


def _made(name: Path) -> UnfinishedFolder:
    while True:
        path = Path(tempfile.mkdtemp(prefix=f"{name.name}.unpacking-", dir=name.parent))
        descriptor = _opened(path)
        with suppress(OSError):  # Some servers lock nothing: then nobody removes it.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_at(path, descriptor):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            os.close(os.open(_MARK, flags, 0o600, dir_fd=descriptor))
            return UnfinishedFolder(path, name, descriptor)
        os.close(descriptor)  # Somebody found it before it was locked, and removed it.


def _remove_left(name: Path) -> None:
    """Remove what was begun for the same name by this user, and is not in use."""
    called = re.compile(re.escape(name.name) + r"\.unpacking-[a-z0-9_]{8}")
    for found in os.listdir(name.parent):
        if called.fullmatch(found):
            with suppress(OSError):  # It is somebody else's, or in use.
                _remove(name.parent / found)


def _remove(path: Path) -> None:
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        inside = os.listdir(descriptor)
        is_own = os.fstat(descriptor).st_uid == os.geteuid()
        if is_own and (not inside or _MARK in inside) and _is_at(path, descriptor):
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _is_at(path: Path, descriptor: int) -> bool:
    """Tell whether the folder is still at its path, and nothing else."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and os.path.samestat(found, os.fstat(descriptor))


def _write_back(descriptor: int) -> None:
    """Wait until all that was written to its file system is on the disk: syncfs(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(descriptor) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
