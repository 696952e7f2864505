"""Reads the memory of a traced process, up to the first page that is not mapped.

Pages that are not for reading are read as well: the kernel takes a path from them all the same.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import struct
from errno import EPERM, ESRCH

from buildperm.tracer.recorder import c_library
from buildperm.tracer.system_values import configured

PAGE = configured("SC_PAGESIZE")
PATH_MAX = 4096  # limits.h: bytes of a path that the kernel takes, its NUL included.

_CAPACITY = 8192
_buffer = c_library.create_string_buffer(_CAPACITY + 1)
_view = memoryview(_buffer).cast("B")
_vectors = (c_library.c_size_t * 6)()  # struct iovec: one local, then two remote
_local = c_library.addressof(_vectors)
_remote = _local + 2 * c_library.sizeof(c_library.c_size_t)
_vectors[0] = c_library.addressof(_buffer)
_readv = c_library.short_libc.process_vm_readv
_readv.argtypes = (
    c_library.c_int,
    c_library.c_void_p,
    c_library.c_ulong,
    c_library.c_void_p,
    c_library.c_ulong,
    c_library.c_ulong,
)
_readv.restype = c_library.c_ssize_t


def read(tid: int, address: int, size: int) -> bytes:
    """Return up to `size` (at most 8192) bytes; fewer where a page is not mapped.

    Raises:
        PermissionError: The process has made itself, or the kernel has made it, unreadable.
        ProcessLookupError: It is gone.
    """
    size = min(size, _CAPACITY)
    found = bytes(_view[: _fill(tid, address, size)])
    if not found or len(found) == size:
        return found
    return found + bytes(_view[: _fill(tid, address + len(found), size - len(found))])


def c_string(tid: int, address: int, limit: int = PATH_MAX) -> bytes | None:
    """Return the bytes before the NUL at or after `address`, or None where nothing is mapped.

    A text of `limit` bytes or more is cut there.

    Raises:
        PermissionError, ProcessLookupError: As for `read`.
    """
    got = _fill(tid, address, min(512, limit))
    if not got:
        return None
    _buffer[got] = b"\0"
    start = _buffer.value
    if len(start) < got:
        return start
    while len(start) < limit:  # page after page: the last one may be the end of the mapping
        got = _fill(tid, address + len(start), min(PAGE, limit - len(start)))
        if not got:
            return None
        _buffer[got] = b"\0"
        piece = _buffer.value
        start += piece
        if len(piece) < got:
            break
    return start


def pointers(tid: int, address: int, count: int) -> list[int]:
    """Return up to `count` machine words before a zero word.

    Raises:
        PermissionError, ProcessLookupError: As for `read`.
    """
    raw = read(tid, address, count * 8)
    found: list[int] = []
    for (word,) in struct.iter_unpack("=Q", raw[: len(raw) & ~7]):
        if not word:
            break
        found.append(word)
    return found


def _fill(tid: int, address: int, size: int) -> int:
    """Read into the buffer, in two pieces split at the first page boundary; return the bytes.

    process_vm_readv(2), RETURN VALUE: a partial transfer never splits a piece.
    """
    first = min(size, PAGE - address % PAGE)
    _vectors[1] = size
    _vectors[2] = address
    _vectors[3] = first
    _vectors[4] = address + first
    _vectors[5] = size - first
    got: int = _readv(tid, _local, 1, _remote, 2 if size > first else 1, 0)
    if got >= 0:
        return got
    code = c_library.get_errno()
    if code == ESRCH:
        raise ProcessLookupError(code, os.strerror(code))
    # EFAULT: not mapped, or mapped for writing or execution only. Of that the kernel may read what
    # it is given all the same, as x86 has no pages that can only be written: mprotect(2), NOTES.
    return _fill_from_file(tid, address, size)


def _fill_from_file(tid: int, address: int, size: int) -> int:
    """Read by /proc/TID/mem: pages that are not for reading, too: proc_pid_mem(5).

    A container's own filter may refuse process_vm_readv.
    """
    try:
        file = os.open(b"/proc/%d/mem" % tid, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ProcessLookupError(ESRCH, os.strerror(ESRCH)) from error
    except OSError as error:
        raise PermissionError(EPERM, os.strerror(EPERM)) from error
    try:
        piece = os.pread(file, size, address)
    except (OSError, OverflowError):  # not mapped: proc_pid_mem(5)
        return 0
    finally:
        os.close(file)
    _view[: len(piece)] = piece
    return len(piece)
