"""The C library, and the types that its functions take: as `ctypes` has them, and with its names.

To import `ctypes` takes 3 ms of CPU, a tenth of all that a supervisor imports: it makes a class for
each type of C. The built-in module below it does the work.

Part of the supervisor: `_ctypes` only.
"""

from __future__ import annotations

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
        """What the program is linked with; each function is looked up when it is first used."""

        def __init__(self, kind: type) -> None:
            self._handle = _ctypes.dlopen(None, 0)  # dlopen(3): NULL is the program itself.
            self._kind = kind

        def __getattr__(self, name: str) -> object:
            found = self._kind((name, self))
            setattr(self, name, found)
            return found

    libc = _Library(_function(0))
    # Keeps the lock: for calls that are too short to release it.
    short_libc = _Library(_function(_ctypes.FUNCFLAG_PYTHONAPI))

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
    "set_errno",
    "short_libc",
    "sizeof",
)
