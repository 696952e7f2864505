"""Makes the patch of a C library by which read-only opens pass the filter with a key.

The filter lets an `openat` pass unseen that opens for reading only and has the key of the run as
its sixth argument, which the kernel does not look at. In the library, each `mov $257, %eax` that
soon meets a `syscall` (`openat`) becomes a jump to code of ours, which lies in the unused rest of
the last page of its code:

    opens for reading only ──▶ call with the key ──▶ EACCES, EPERM ──▶ call without the key: seen
    anything else ──▶ call without the key: it stops as ever

So a refusal is always seen, and its result is the one that the recorder has seen.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import re
import struct

from buildperm.tracer.recorder import elf
from buildperm.tracer.syscall_table import WRITING_FLAGS

# mov $257, %eax; moves between registers, or of a constant, but not to rax; syscall. All of that
# does the same wherever it stands.
_OPENAT = re.compile(
    rb"(?<![\x40-\x4f])\xb8\x01\x01\x00\x00"  # With a prefix it would be another register.
    rb"((?:[\x40-\x4f]?\x89[\xc1-\xc7\xc9-\xcf\xd1-\xd7\xd9-\xdf\xe1-\xe7\xe9-\xef\xf1-\xf7\xf9-\xff]"
    rb"|\x41?[\xb9-\xbf].{4}){0,4})"
    rb"\x0f\x05",
    re.DOTALL,
)
_JUMP = struct.Struct("<Bi")  # jmp rel32
_PAGE = 0x1000

# rdi, rsi, edx, r10: as `openat` takes them. The call itself changes rax, rcx, r11 and the flags,
# so the code may as well; r9 it has to restore. 128 bytes below the stack pointer belong to the
# function that is called from (System V ABI, "red zone").
_BEFORE_KEY = (
    b"\xf7\xc2"  # test $flags, %edx
    + struct.pack("<I", WRITING_FLAGS)
    + b"\x75\x28"  # jnz without
    b"\x48\x8d\x64\x24\x80"  # lea -128(%rsp), %rsp
    b"\x41\x51"  # push %r9
    b"\x49\xb9"  # movabs $key, %r9
)
_AFTER_KEY = (
    b"\xb8\x01\x01\x00\x00"  # mov $257, %eax
    b"\x0f\x05"  # syscall
    b"\x41\x59"  # pop %r9
    b"\x48\x83\xec\x80"  # sub $-128, %rsp
    b"\x83\xf8\xf3"  # cmp $-EACCES, %eax
    b"\x74\x05"  # je without
    b"\x83\xf8\xff"  # cmp $-EPERM, %eax
    b"\x75\x07"  # jne back
    b"\xb8\x01\x01\x00\x00"  # without: mov $257, %eax
    b"\x0f\x05"  # syscall
)  # back: a jump follows.


class Patch:
    """What to write where in the memory of a process that has the library mapped."""

    __slots__ = ("keys", "pieces")

    def __init__(self, pieces: list[tuple[int, bytes]], keys: list[int]) -> None:
        self.pieces = pieces  # Offset from where the library is mapped, bytes; in this order.
        self.keys = keys  # Offsets of the eight bytes of the key.


def of_library(path: bytes, key: int) -> Patch | None:
    """Make the patch of the library at `path`; None where it opens files in another way.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no library for this processor.
    """
    image = elf.Image(path)
    try:
        code = image.code()
        lowest = image.lowest()
    finally:
        image.close()
    if code is None:
        return None
    address, content, room = code
    room_at = len(content) - room  # For as long as what follows is zero: nobody uses that.
    end = len(content)
    pieces: list[tuple[int, bytes]] = []
    keys: list[int] = []
    jumps: list[tuple[int, bytes]] = []
    base = address - lowest
    for site in _OPENAT.finditer(content, 0, room_at):
        before = site[1] + _BEFORE_KEY
        stub = before + struct.pack("<Q", key) + _AFTER_KEY
        length = len(stub) + _JUMP.size
        if room_at + length > end:
            break
        if site.start() % _PAGE > _PAGE - _JUMP.size:
            continue  # In two pages: it might be written in part.
        stub += _JUMP.pack(0xE9, site.end() - (room_at + length))
        pieces.append((base + room_at, stub))
        keys.append(base + room_at + len(before))
        jump = _JUMP.pack(0xE9, room_at - (site.start() + _JUMP.size))
        jumps.append((base + site.start(), jump))
        room_at += length
    return Patch(pieces + jumps, keys) if jumps else None


def is_possible() -> bool:
    """Tell whether this processor is one that there is a patch for."""
    return os.uname().machine == "x86_64"
