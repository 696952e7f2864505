"""Follows a path as a stopped thread would, to a descriptor that only names the file.

Nothing that another thread does meanwhile, to the text or to a link, leads elsewhere.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import struct
from errno import EAGAIN, EBADF, ELOOP, ENOENT

from buildperm.supervisor import syscalls
from buildperm.supervisor.caller_rights import CallFailedError
from buildperm.tracer.recorder import c_library, location
from buildperm.tracer.recorder.location import AT_FDCWD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_OPENAT2 = 437  # On every architecture.
_NO_MAGICLINKS, NO_SYMLINKS, IN_ROOT = 0x02, 0x04, 0x10  # openat2(2), "resolve"
_ATTEMPTS = 100  # openat2(2), EAGAIN: `..` while anything anywhere is being renamed.
_STREAMS = {b"stdin": 0, b"stdout": 1, b"stderr": 2}


def follow(
    pids: tuple[int, int], start: int, path: bytes, *, is_followed: bool, is_ours: bool
) -> int:
    """Follow `path` as a thread would, and return a descriptor of what it leads to.

    Magic links of /proc, which are no text (proc(5)), lead each process elsewhere; of these only a
    process's own descriptors are understood.
    """
    tid = pids[1]
    number = _own_descriptor(path, pids) if is_followed else None
    if number is not None:
        try:
            return open_descriptor(tid, number, is_plain=False)
        except CallFailedError:
            raise CallFailedError(ENOENT) from None
    opened = [AT_FDCWD]
    resolve = _NO_MAGICLINKS
    try:
        if not path.startswith(b"/"):
            opened.append(open_descriptor(tid, start, is_plain=False))
        if not is_ours:
            path = _in_its_root(tid, path, opened)
            resolve |= IN_ROOT
        try:
            return walk(opened[-1], path, resolve, is_followed=is_followed)
        except CallFailedError as failed:
            if failed.code == ELOOP and not _is_loop(opened[-1], path, is_followed=is_followed):
                raise CallFailedError(0) from None
            raise
    finally:
        for file in opened[1:]:
            os.close(file)


def _in_its_root(tid: int, path: bytes, opened: list[int]) -> bytes:
    """Return `path` as seen from the root of `tid`, which is not ours, and open that root.

    The start of a relative path has a name there, and the name has to lead to that start.
    """
    root = open_path(b"/proc/%d/root" % tid)
    if not path.startswith(b"/"):
        start = opened[-1]
        begin = os.readlink(b"/proc/self/fd/%d" % start)
        top = os.readlink(b"/proc/self/fd/%d" % root).rstrip(b"/")
        opened.append(root)
        if not (begin + b"/").startswith(top + b"/"):
            raise CallFailedError(0)
        begin = begin[len(top) :] or b"/"
        there = walk(root, begin, IN_ROOT | NO_SYMLINKS, is_followed=False)
        try:
            is_same = os.path.sameopenfile(there, start)
        finally:
            os.close(there)
        if not is_same:
            raise CallFailedError(0)
        return begin + b"/" + path
    opened.append(root)
    return path


def open_descriptor(tid: int, number: int, *, is_plain: bool) -> int:
    """Open what the descriptor `number` of `tid`, or its working directory, refers to.

    Args:
        tid: The thread.
        number: The descriptor, or AT_FDCWD.
        is_plain: Refuse one that itself only names a file: open(2), O_PATH.
    """
    if number == AT_FDCWD:
        return open_path(b"/proc/%d/cwd" % tid)
    if number < 0:
        raise CallFailedError(EBADF)
    try:
        if is_plain:
            with open(b"/proc/%d/fdinfo/%d" % (tid, number), "rb", buffering=0) as details:
                flags = details.read().partition(b"flags:\t")[2].partition(b"\n")[0]
            if not flags or int(flags, 8) & os.O_PATH:
                raise CallFailedError(EBADF)
        return open_path(b"/proc/%d/fd/%d" % (tid, number))
    except FileNotFoundError:
        raise CallFailedError(EBADF) from None


def _own_descriptor(path: bytes, pids: tuple[int, int]) -> int | None:
    """Return which descriptor of its own a process means by `path`, as chmod(3) does."""
    head, _, number = path.rpartition(b"/")
    if head in (b"/proc/self/fd", b"/dev/fd", b"/proc/thread-self/fd"):
        pass
    elif head == b"/dev" and number in _STREAMS:
        return _STREAMS[number]
    elif head not in (b"/proc/%d/fd" % pid for pid in pids):
        return None
    return int(number) if number.isdigit() and len(number) < 10 else None


def open_path(path: bytes) -> int:
    """Open a descriptor that only names the file at `path`."""
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def walk(start: int, path: bytes, resolve: int, *, is_followed: bool) -> int:
    """Open a descriptor that only names what `path` leads to: openat2(2)."""
    flags = os.O_PATH | os.O_CLOEXEC | (0 if is_followed else os.O_NOFOLLOW)
    how = struct.pack("=3Q", flags, 0, resolve)
    for _ in range(_ATTEMPTS):
        file = syscalls.call(_OPENAT2, start, path, how, len(how))
        if file >= 0:
            return file
        code = c_library.get_errno()
        if code != EAGAIN:
            raise CallFailedError(code)
    raise CallFailedError(EAGAIN)


def _is_loop(start: int, path: bytes, *, is_followed: bool) -> bool:
    """Tell whether the failure was too many links, rather than a magic link of /proc."""
    try:
        os.close(walk(start, path, 0, is_followed=is_followed))
    except CallFailedError as failed:
        return failed.code == ELOOP
    return False


def name_of(tid: int, file: int, *, is_ours: bool) -> bytes:
    """Return the path of what a descriptor names, as the thread `tid` sees it."""
    name = location.descriptor(os.getpid(), file)
    if is_ours:
        return name
    top = os.readlink(b"/proc/%d/root" % tid).rstrip(b"/")
    return name[len(top) :] if name.startswith(top + b"/") else name


def upwards(path: bytes) -> Iterator[bytes]:
    """Yield `path` and every folder above it."""
    while path.startswith(b"/"):
        yield path
        if path == b"/":
            return
        path = path.rpartition(b"/")[0] or b"/"
