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

import struct

from buildperm.tracer.recorder import elf
from buildperm.tracer.syscall_table import WRITING_FLAGS

_NUMBER = b"\xb8\x01\x01\x00\x00"  # mov $257, %eax
_CALL = b"\x0f\x05"  # syscall
_MOVES_MAX = 4  # Instructions between the two.
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
        # Offset from where its code is mapped, bytes; in this order.
        self.pieces = pieces
        self.keys = keys  # Offsets, likewise, of the eight bytes of the key.


def of_library(path: bytes, key: int) -> Patch | None:
    """Make the patch of the library at `path`; None where it opens files in another way.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no library for this processor.
    """
    image = elf.Image(path)
    try:
        code = image.code()
    finally:
        image.close()
    if code is None:
        return None
    content, room = code
    room_at = len(content) - room  # For as long as what follows is zero: nobody uses that.
    end = len(content)
    begin = room_at
    stubs: list[bytes] = []
    keys: list[int] = []
    jumps: list[tuple[int, bytes]] = []
    at = content.find(_NUMBER, 0, begin)
    while at >= 0:
        call = _call_after(content, at)
        # In two pages it might be written in part.
        if call and at % _PAGE <= _PAGE - _JUMP.size:
            before = content[at + len(_NUMBER) : call] + _BEFORE_KEY
            stub = before + struct.pack("<Q", key) + _AFTER_KEY
            length = len(stub) + _JUMP.size
            if room_at + length > end:
                break
            stubs.append(stub + _JUMP.pack(0xE9, call + len(_CALL) - (room_at + length)))
            keys.append(room_at + len(before))
            jumps.append((at, _JUMP.pack(0xE9, room_at - (at + _JUMP.size))))
            room_at += length
        at = content.find(_NUMBER, at + len(_NUMBER), begin)
    return Patch([(begin, b"".join(stubs)), *jumps], keys) if jumps else None


def _call_after(code: bytes, at: int) -> int:
    """Return where the `syscall` is that the `mov` at `at` is for; 0 if that is not plain to see.

    Between them may be moves from one register to another or of a constant, but not to eax: these
    do the same wherever they stand.
    """
    if 0x40 <= code[at - 1] <= 0x4F:  # With a prefix it may be another register.
        return 0
    at += len(_NUMBER)
    for _ in range(_MOVES_MAX + 1):
        if code[at : at + 2] == _CALL:
            return at
        is_wide = 0x40 <= code[at] <= 0x4F
        operation, operand = code[at + is_wide], code[at + is_wide + 1]
        if operation == 0x89 and operand >= 0xC0 and operand & 7:  # mov %reg, %reg
            at += is_wide + 2
        elif code[at] in (0x40, 0x41) or not is_wide:
            if not 0xB9 <= operation <= 0xBF:  # mov $constant, %reg; 32 bits
                return 0
            at += is_wide + 5
        else:
            return 0
    return 0
