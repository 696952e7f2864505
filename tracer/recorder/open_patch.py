"""Makes the patch of a C library by which read-only opens pass the filter with a key.

The filter lets an `openat` pass unseen that opens for reading only and has the key of the run as
its sixth argument, which the kernel does not look at. In the library, each place that makes this
call becomes a jump to code of ours, which lies in the unused rest of the last page of its code:

    opens for reading only ──▶ call with the key ──▶ EACCES, EPERM ──▶ call without the key: seen
    anything else ──▶ call without the key: it stops as ever

So a refusal is always seen, and its result is the one that the recorder has seen.

What only looks at a path passes in the same way, with a key that is no secret: `LOOK_KEY`.

There are two shapes of such places. One is `mov $257, %eax` and soon `syscall`. In the other, from
glibc 2.41 on, the number is pushed as the seventh argument of a function, which makes the call with
the six before it, and sets errno.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import struct

from buildperm.tracer.recorder import elf
from buildperm.tracer.syscall_table import FOLDERS_PAGE, LOOK_KEY, WRITING_FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBER = b"\xb8\x01\x01\x00\x00"  # mov $257, %eax
_SYSCALL = b"\x0f\x05"  # syscall
_PUSHED = b"\x68\x01\x01\x00\x00"  # push $257
_MOVES_MAX = 4  # Instructions before the call.
_JUMP = struct.Struct("<Bi")  # jmp rel32, call rel32
_JMP, _CALL = 0xE9, 0xE8
_KEY = struct.Struct("<Q")
_NO_KEY = bytes(_KEY.size)
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

# rdi, rsi, edx, ecx, r8, r9, and the number on the stack: a function is called, so that it may
# change all registers that it is called with. The stack is aligned at each call.
_FUNCTION_BEFORE_KEY = (
    b"\xf7\xc2"  # test $flags, %edx
    + struct.pack("<I", WRITING_FLAGS)
    + b"\x75\x4b"  # jnz function
    b"\x57\x56\x52\x51"  # push %rdi, %rsi, %rdx, %rcx
    b"\x68\x01\x01\x00\x00"  # push $257
    b"\x49\xb9"  # movabs $key, %r9
)  # Then the function is called.
_FUNCTION_BEFORE_ERRNO = (
    b"\x59"  # pop %rcx
    b"\x83\xf8\xff"  # cmp $-1, %eax
    b"\x75\x1e"  # jne done
    b"\x48\x83\xec\x08"  # sub $8, %rsp
)  # Then __errno_location is called.
_FUNCTION_AFTER_ERRNO = (
    b"\x48\x83\xc4\x08"  # add $8, %rsp
    b"\x83\x38\x0d"  # cmpl $EACCES, (%rax)
    b"\x74\x11"  # je without
    b"\x83\x38\x01"  # cmpl $EPERM, (%rax)
    b"\x74\x0c"  # je without
    b"\x48\xc7\xc0\xff\xff\xff\xff"  # mov $-1, %rax
    b"\x48\x83\xc4\x20"  # done: add $32, %rsp
    b"\xc3"  # ret
    b"\x59\x5a\x5e\x5f"  # without: pop %rcx, %rdx, %rsi, %rdi
    b"\x45\x31\xc9"  # xor %r9d, %r9d
    b"\x45\x31\xc0"  # xor %r8d, %r8d
)  # function: a jump to it follows.


_LOOKS = tuple(  # stat, lstat, access, readlink, newfstatat, readlinkat, faccessat, statx, …2
    struct.pack("<BI", 0xB8, number) for number in (4, 6, 21, 89, 262, 267, 269, 332, 439)
)
_BEFORE_LOOK = (
    b"\x48\x8d\x64\x24\x80"  # lea -128(%rsp), %rsp
    b"\x41\x51"  # push %r9
    b"\x49\xb9" + _KEY.pack(LOOK_KEY)  # movabs $key, %r9
)
_AFTER_LOOK = (
    b"\x0f\x05"  # syscall
    b"\x41\x59"  # pop %r9
    b"\x48\x83\xec\x80"  # sub $-128, %rsp
)


FOLDERS_FUNCTION = FOLDERS_PAGE + 48
"""Where a function opens what lies in a folder: `folder_reads`."""

_BEFORE_FOLDERS = (
    (
        b"\x48\x8d\x64\x24\x80"  # lea -128(%rsp), %rsp
        b"\xb9" + struct.pack("<I", FOLDERS_FUNCTION) + b"\xff\xd1"  # mov $…, %ecx; call *%rcx
        b"\x48\x83\xec\x80"  # sub $-128, %rsp
        b"\x83\xf8\xff"  # cmp $-1, %eax
        b"\x75\x07"  # jne back
    )
    + _NUMBER
    + _SYSCALL
)  # back: a jump follows.


_BEFORE_LISTING = b"\x48\x8d\x64\x24\x80"  # lea -128(%rsp), %rsp; then the number.
_LISTING = b"\x49\xbb"  # movabs $function, %r11
_AFTER_LISTING = b"\x41\xff\xd3\x48\x83\xec\x80"  # call *%r11; sub $-128, %rsp


class Patch:
    """What to write where in the memory of a process that has the library mapped."""

    __slots__ = ("former", "keys", "pieces")

    def __init__(
        self, pieces: list[tuple[int, bytes]], former: list[tuple[int, bytes]], keys: list[int]
    ) -> None:
        # Offset from where its code is mapped, bytes; in this order.
        self.pieces = pieces
        self.former = former  # What takes it out again, likewise.
        self.keys = keys  # Offsets, likewise, of the eight bytes of the key.

    def with_key(self, key: int) -> Patch:
        """Return the same patch with another key."""
        (begin, stubs), *jumps = self.pieces
        keyed = bytearray(stubs)
        for at in self.keys:
            _KEY.pack_into(keyed, at - begin, key)
        return Patch([(begin, bytes(keyed)), *jumps], self.former, self.keys)


OPENS, LOOKS, BOTH, FOLDERS, LISTED = 1, 2, 3, 4, 8
"""What a patch lets pass; FOLDERS is for a script, which has no key.

With LISTED all of BOTH goes to a function that makes the call: `path_list`. The address of that is
in the place of the key.
"""

_without_key: dict[tuple[int, ...], Patch | None] = {}
"""What has been found out about libraries, by their files and when these were last changed.

To look through a C library takes longer than some build scripts do.
"""


def of_library(path: bytes, key: int, what: int = OPENS) -> Patch | None:
    """Make the patch of the library at `path`; None where it opens files in another way.

    Args:
        path: Of its file.
        key: With which opens pass; 0 where none do.
        what: What passes: OPENS, LOOKS, BOTH, FOLDERS or LISTED.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no library for this processor.
    """
    status = os.stat(path)
    file = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    if (*file, what) not in _without_key:
        _without_key[*file, what] = _of_library(path, what)
    patch = _without_key[*file, what]
    return patch and patch.with_key(key)


def _of_library(path: bytes, what: int) -> Patch | None:
    image = elf.Image(path)
    try:
        code = image.code()
        has_functions = code is not None and _PUSHED in code[1]
        errno = image.function(b"__errno_location") if has_functions and what & OPENS else 0
    finally:
        image.close()
    if code is None:
        return None
    address, content, room = code
    making = _Making(content, room)
    if what & OPENS:
        making.redirect_calls()
    if errno:
        making.redirect_functions(errno - address)
    if what & LOOKS:
        making.redirect_looks()
    if what & FOLDERS:
        making.redirect_to_folders()
    if what & LISTED:
        making.redirect_to_list()
    return making.patch()


class _Making:
    """A patch in the making."""

    def __init__(self, content: bytes, room: int) -> None:
        self._content = content
        self._begin = self._at = len(content) - room
        self._stubs: list[bytes] = []
        self._keys: list[int] = []
        self._jumps: list[tuple[int, bytes]] = []

    def redirect_calls(self) -> None:
        """Redirect each `mov $257, %eax` that a `syscall` follows."""
        for at in self._places(_NUMBER):
            call = _call_after(self._content, at)
            if not call:
                continue
            before = self._content[at + len(_NUMBER) : call] + _BEFORE_KEY
            size = len(before) + _KEY.size + len(_AFTER_KEY)
            back = self._jump(_JMP, self._at + size, call + len(_SYSCALL))
            stub = before + _NO_KEY + _AFTER_KEY + back
            self._add(at, _JMP, stub, len(before))

    def redirect_to_folders(self) -> None:
        """Redirect each `mov $257, %eax` that a `syscall` follows, as `folder_reads` needs it."""
        for at in self._places(_NUMBER):
            call = _call_after(self._content, at)
            if call:
                stub = self._content[at + len(_NUMBER) : call] + _BEFORE_FOLDERS
                stub += self._jump(_JMP, self._at + len(stub), call + len(_SYSCALL))
                self._add(at, _JMP, stub, None)

    def redirect_looks(self) -> None:
        """Redirect each call that only looks at a path, where a `syscall` follows its number."""
        for number in _LOOKS:
            for at in self._places(number):
                call = _call_after(self._content, at)
                if not call:
                    continue
                stub = self._content[at + len(number) : call] + _BEFORE_LOOK + number + _AFTER_LOOK
                stub += self._jump(_JMP, self._at + len(stub), call + len(_SYSCALL))
                self._add(at, _JMP, stub, None)

    def redirect_to_list(self) -> None:
        """Redirect opens and looks, where a `syscall` follows the number, to a function."""
        for number in (_NUMBER, *_LOOKS):
            for at in self._places(number):
                call = _call_after(self._content, at)
                if not call:
                    continue
                before = self._content[at + len(number) : call] + _BEFORE_LISTING + number
                before += _LISTING
                stub = before + _NO_KEY + _AFTER_LISTING
                stub += self._jump(_JMP, self._at + len(stub), call + len(_SYSCALL))
                self._add(at, _JMP, stub, len(before))

    def redirect_functions(self, errno: int) -> None:
        """Redirect each call of a function that is told to make call 257; `errno` says where."""
        for at in self._places(_PUSHED):
            call = _function_called(self._content, at)
            if not call:
                continue
            end = call + _JUMP.size
            function = end + _JUMP.unpack_from(self._content, call)[1]
            stub = _FUNCTION_BEFORE_KEY + _NO_KEY
            stub += self._jump(_CALL, self._at + len(stub), function)
            stub += _FUNCTION_BEFORE_ERRNO
            stub += self._jump(_CALL, self._at + len(stub), errno)
            stub += _FUNCTION_AFTER_ERRNO
            stub += self._jump(_JMP, self._at + len(stub), function)
            self._add(call, _CALL, stub, len(_FUNCTION_BEFORE_KEY))

    def patch(self) -> Patch | None:
        """Return the patch; None if there is nothing to redirect."""
        if not self._jumps:
            return None
        stubs = b"".join(self._stubs)
        former = [(at, self._content[at : at + len(jump)]) for at, jump in self._jumps]
        former.append((self._begin, bytes(len(stubs))))
        return Patch([(self._begin, stubs), *self._jumps], former, self._keys)

    def _places(self, instruction: bytes) -> Iterator[int]:
        at = self._content.find(instruction, 1, self._begin)
        while at >= 0:
            yield at
            at = self._content.find(instruction, at + len(instruction), self._begin)

    def _add(self, place: int, operation: int, stub: bytes, key_at: int | None) -> None:
        """Add a stub, and the jump to it, if there is room for both."""
        # In two pages the jump might be written in part.
        if place % _PAGE > _PAGE - _JUMP.size or self._at + len(stub) > len(self._content):
            return
        self._stubs.append(stub)
        if key_at is not None:
            self._keys.append(self._at + key_at)
        self._jumps.append((place, self._jump(operation, place, self._at)))
        self._at += len(stub)

    @staticmethod
    def _jump(operation: int, place: int, target: int) -> bytes:
        return _JUMP.pack(operation, target - (place + _JUMP.size))


def _call_after(code: bytes, at: int) -> int:
    """Return where the `syscall` is that the `mov` at `at` is for; 0 if that is not plain to see.

    Between them may be moves from one register to another or of a constant, but not to eax: these
    do the same wherever they stand.
    """
    if 0x40 <= code[at - 1] <= 0x4F:  # With a prefix it may be another register.
        return 0
    at += len(_NUMBER)
    for _ in range(_MOVES_MAX + 1):
        if code[at : at + 2] == _SYSCALL:
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


def _function_called(code: bytes, at: int) -> int:
    """Return where the function is called that the `push` at `at` is for; 0 if not plain to see."""
    if 0x40 <= code[at - 1] <= 0x4F:
        return 0
    at += len(_PUSHED)
    for _ in range(_MOVES_MAX + 1):
        if code[at] == _CALL:
            return at
        is_wide = 0x40 <= code[at] <= 0x4F
        operation, operand = code[at + is_wide], code[at + is_wide + 1]
        # xor, mov and movslq between registers; mov $constant, %reg
        lengths = {0x31: 2, 0x89: 2, 0x63: 2, 0xC7: 6}
        if operand < 0xC0 or operation not in lengths:
            return 0
        at += is_wide + lengths[operation]
    return 0
