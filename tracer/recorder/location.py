"""Where a path, a descriptor or a working directory of a traced process leads.

Everything is asked of the kernel (`/proc/PID/fd/N`, `/proc/PID/cwd`) or walked through from
outside the sandbox; nothing here follows what the process says about itself.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import posixpath
import stat
import sys
from errno import EINVAL, ENAMETOOLONG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

AT_FDCWD = -100  # openat(2)
TOO_LONG = b"..."
"""Stands for the rest of a path that is too long for the kernel to return."""

_DELETED = b" (deleted)"


def descriptor(pid: int, number: int) -> bytes:
    """Return the path of an open file, or its kind (`pipe:[7]`); empty where there is none.

    The path of a file deeper than PATH_MAX is `TOO_LONG`; that of such a directory ends in it.
    proc_pid_fd(5): "(deleted)" follows the name of a file that has been unlinked. If a file of that
    very name is there, it is the one.
    """
    return _magic(b"/proc/%d/fd/%d" % (pid, number))


def program(pid: int) -> bytes:
    """Return the program that `pid` runs, by the kernel's own link; empty if it is gone."""
    return _magic(b"/proc/%d/exe" % pid)


def directory(pid: int, number: int) -> bytes:
    """Return the directory that a path relative to the descriptor `number` starts from."""
    if signed(number) == AT_FDCWD:
        return _magic(b"/proc/%d/cwd" % pid)
    return descriptor(pid, number & 0xFFFFFFFF)


def absolute(pid: int, tid: int, number: int, path: bytes) -> bytes:
    """Return `path` as thread `tid` of process `pid` means it, made absolute, links kept.

    `.` and empty components are left out. `..` stays: where it leads depends on links.
    """
    if not path.startswith(b"/"):
        start = directory(tid, number)
        if not start.startswith(b"/"):  # a pipe or a socket: the call has failed anyway
            return path
        path = start + b"/" + path if path else start
    if b"//" in path or b"/./" in path or path.endswith((b"/", b"/.")):
        parts = [part for part in path.split(b"/") if part not in (b"", b".")]
        path = b"/" + b"/".join(parts)
    if path.startswith((b"/proc/", b"/dev/")):
        for alias, actual in (
            (b"/proc/self", b"/proc/%d" % pid),
            (b"/proc/thread-self", b"/proc/%d/task/%d" % (pid, tid)),
            (b"/proc/mounts", b"/proc/%d/mounts" % pid),
            (b"/proc/net", b"/proc/%d/net" % pid),
            (b"/dev/fd", b"/proc/%d/fd" % pid),
            (b"/dev/stdin", b"/proc/%d/fd/0" % pid),
            (b"/dev/stdout", b"/proc/%d/fd/1" % pid),
            (b"/dev/stderr", b"/proc/%d/fd/2" % pid),
        ):
            if path == alias or path.startswith(alias + b"/"):
                return actual + path[len(alias) :]
    return path


def with_proc_self(threads: Container[int], path: bytes) -> bytes:
    """Return `path` with `/proc/self` in place of `/proc/PID` and `/proc/PID/task/TID`.

    `threads` are the threads of the script's own processes, which are alive.
    """
    for _ in range(2):
        number, slash, rest = path[6:].partition(b"/") if path.startswith(b"/proc/") else (b"",) * 3
        if number == b"self" and rest.startswith(b"task/"):
            number, slash, rest = rest[5:].partition(b"/")
        if number.isdigit() and len(number) < 12 and int(number) in threads:
            path = b"/proc/self" + slash + rest
    return path


def resolved(path: bytes) -> bytes:
    """Return where the absolute `path` leads, links followed as far as it exists.

    open(2), O_PATH: the kernel walks it, and nothing is opened.
    """
    if sys.platform != "linux":
        return _walked(path)
    try:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return _walked(path)
    found = _magic(b"/proc/self/fd/%d" % file)
    os.close(file)
    return found if found.startswith(b"/") else path


def parent_resolved(path: bytes) -> bytes:
    """Return the absolute `path` with all links but a last one followed: what unlink(2) names."""
    head, name = posixpath.split(path)
    if name in (b"", b".", b".."):
        return resolved(path)
    return posixpath.join(resolved(head), name)


def open_regular_file(path: bytes) -> int:
    """Open the regular file at `path` for reading, and return its descriptor.

    This process may open what a script may not, and the script may have replaced what is at `path`.
    Opening a device has effects, and reading from a pipe takes data from others. So the file is
    first opened with O_PATH (open(2)), which has no effects, and then reopened if it is regular.

    Raises:
        OSError: It cannot be read, or is something else: EINVAL.
    """
    if sys.platform != "linux":
        return _open_elsewhere(path)
    file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(EINVAL, os.strerror(EINVAL))
        # O_NONBLOCK: do not even wait for a lease, fcntl(2).
        return os.open(b"/proc/self/fd/%d" % file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    finally:
        os.close(file)


def _open_elsewhere(path: bytes) -> int:
    """Open a regular file where there is no O_PATH, and where no script runs that could swap it."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(EINVAL, os.strerror(EINVAL))
    return os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))


def _walked(path: bytes) -> bytes:
    try:
        return posixpath.realpath(path)
    except (OSError, ValueError, RecursionError):  # the last: longer chains than the kernel takes
        return posixpath.normpath(path)


def _magic(link: bytes) -> bytes:
    try:
        path = os.readlink(link)
    except OSError as error:
        return _ancestor(link) if error.errno == ENAMETOOLONG else b""
    if path.endswith(_DELETED) and not _is_same(link, path):
        return path[: -len(_DELETED)]
    return path


def _is_same(link: bytes, path: bytes) -> bool:
    try:
        there, found = os.stat(link), os.lstat(path)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (found.st_dev, found.st_ino)


def _ancestor(link: bytes) -> bytes:
    """Return the nearest ancestor with a short enough path for a directory deeper than PATH_MAX.

    From a file there is no way to its parent.
    """
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        current = os.open(link, flags)
    except OSError:
        return TOO_LONG
    while True:
        try:
            above = os.open(b"..", flags, dir_fd=current)
        except OSError:
            return b""
        finally:
            os.close(current)
        current = above
        try:
            path = os.readlink(b"/proc/self/fd/%d" % current)
        except OSError as error:
            if error.errno == ENAMETOOLONG:
                continue
            path = b""
        os.close(current)
        return posixpath.join(path, TOO_LONG) if path else b""


def signed(number: int) -> int:
    """Return a register as the `int` that the kernel reads it as."""
    number &= 0xFFFFFFFF
    return number - 0x100000000 if number & 0x80000000 else number
