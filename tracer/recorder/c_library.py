"""The C library, and the types that its functions take: as `ctypes` has them, and with its names.

To import `ctypes` takes 3 ms of CPU, a tenth of all that a supervisor imports: it makes a class for
each type of C. The built-in module below it does the work.

Part of the supervisor: `_ctypes` only.
"""

from __future__ import annotations

import os
import sys
from errno import ENOSYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctypes import (
        CDLL,
        PyDLL,
        addressof,
        c_char_p,
        c_int,
        c_long,
        c_size_t,
        c_ssize_t,
        c_ubyte,
        c_ulong,
        c_void_p,
        create_string_buffer,
        get_errno,
        set_errno,
        sizeof,
    )

    libc: CDLL
    short_libc: PyDLL

    def load(path: bytes) -> tuple[CDLL, PyDLL]:
        """See below."""
else:
    import _ctypes
    from _ctypes import addressof, get_errno, set_errno, sizeof

    def _simple(code: str) -> type:
        """Make the class of a simple type; `code` is that of `struct`, or `z` for a text."""
        return type(_ctypes._SimpleCData)(code, (_ctypes._SimpleCData,), {"_type_": code})

    c_int, c_long, c_ubyte, c_ulong = map(_simple, "ilBL")
    c_size_t, c_ssize_t = c_ulong, c_long  # On Linux.
    c_void_p, c_char_p, _char = map(_simple, "Pzc")

    def create_string_buffer(init: int | bytes, size: int = 0) -> object:
        """Make a buffer of `init` bytes, or of `size` bytes that begins with the bytes `init`."""
        if isinstance(init, int):
            return (_char * init)()
        buffer = (_char * size)()
        buffer.value = init
        return buffer

    def _function(flags: int) -> type:
        """Make a class of functions that keep errno and return an int."""
        flags |= _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
        kept = {"_flags_": flags, "_restype_": c_int}
        return type(_ctypes.CFuncPtr)("function", (_ctypes.CFuncPtr,), kept)

    class _Library:
        """What has been loaded; each function is looked up when it is first used."""

        def __init__(self, kind: type, handle: int | None) -> None:
            self._handle = handle
            self._kind = kind

        def __getattr__(self, name: str) -> object:
            try:
                found = self._kind((name, self))
            except (AttributeError, TypeError):
                if sys.platform == "linux":
                    raise
                found = _AbsentFunction(name)
            setattr(self, name, found)
            return found

    class _AbsentFunction:
        """A function that only Linux has: modules that name it can be imported elsewhere, too."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __call__(self, *_arguments: object) -> int:
            raise OSError(ENOSYS, f"this system has no {self._name}()")

    # The second keeps the lock: for calls that are too short to release it.
    _KINDS = _function(0), _function(_ctypes.FUNCFLAG_PYTHONAPI)

    def _both(path: bytes | None) -> tuple[_Library, _Library]:
        # Windows has no dlopen, and nothing of the recorder works there.
        handle = _ctypes.dlopen(path, os.RTLD_NOW) if hasattr(_ctypes, "dlopen") else None
        return _Library(_KINDS[0], handle), _Library(_KINDS[1], handle)

    libc, short_libc = _both(None)  # dlopen(3): NULL is the program itself.

    def load(path: bytes) -> tuple[_Library, _Library]:
        """Load the library at `path`, for functions that wait and for those that do not.

        Raises:
            OSError: It cannot be loaded.
        """
        return _both(path)


__all__ = (
    "addressof",
    "c_char_p",
    "c_int",
    "c_long",
    "c_size_t",
    "c_ssize_t",
    "c_ubyte",
    "c_ulong",
    "c_void_p",
    "create_string_buffer",
    "get_errno",
    "libc",
    "load",
    "set_errno",
    "short_libc",
    "sizeof",
)
