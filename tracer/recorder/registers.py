"""The registers of a stopped thread: the only place that knows one processor from another.

A snapshot is a list of 64-bit words in the kernel's order (struct user_regs_struct on x86-64,
struct user_pt_regs on aarch64), so that it can be changed and put back.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import struct

from buildperm.tracer.recorder import c_library
from buildperm.tracer.recorder.ptrace import (
    GETREGSET,
    NT_ARM_SYSTEM_CALL,
    NT_PRSTATUS,
    POKEUSER,
    SETREGSET,
    is_gone,
    request,
)
from buildperm.tracer.system_values import machine

MACHINE = machine()

TRAP: bytes  # The breakpoint instruction.
TRAP_LENGTH: int  # By how much the program counter has gone past it when it stops.
if MACHINE == "aarch64":
    _COUNT, _ARGUMENT, _STACK, _COUNTER, _RESULT = 34, 0, 31, 32, 0
    TRAP, TRAP_LENGTH = b"\x00\x00\x20\xd4", 0
else:
    _COUNT, _ARGUMENT, _STACK, _COUNTER, _RESULT = 27, 14, 19, 16, 10
    TRAP, TRAP_LENGTH = b"\xcc", 1
_CALL = 15  # orig_rax
# Where a call's arguments are: syscall(2), "Architecture calling conventions".
_CALLED_WITH = (0, 1, 2, 3, 4, 5) if MACHINE == "aarch64" else (14, 13, 12, 7, 9, 8)

# The index of each register as `push` numbers them: rax rcx rdx rbx rsp rbp rsi rdi, r8 … r15.
_PUSHED = (10, 11, 12, 5, 19, 4, 13, 14, 9, 8, 7, 6, 3, 2, 1, 0)

_layout = struct.Struct(f"={_COUNT}Q")
_buffer = c_library.create_string_buffer(_layout.size)
_number = c_library.c_int(-1)
_vector = (c_library.c_size_t * 2)(c_library.addressof(_buffer), _layout.size)  # struct iovec
_number_vector = (c_library.c_size_t * 2)(c_library.addressof(_number), c_library.sizeof(_number))


def load(tid: int) -> list[int] | None:
    """Return the registers of `tid`; None if it is gone."""
    if request(GETREGSET, tid, NT_PRSTATUS, c_library.addressof(_vector)) == -1:
        return None
    return list(_layout.unpack(_buffer))


def store(tid: int, values: list[int]) -> bool:
    """Put `values` back; False if `tid` is gone."""
    _layout.pack_into(_buffer, 0, *(value & 0xFFFFFFFFFFFFFFFF for value in values))
    return bool(request(SETREGSET, tid, NT_PRSTATUS, c_library.addressof(_vector)) != -1)


def unpacked(raw: bytes) -> list[int]:
    """Return the registers that `raw` begins with, as the kernel gives them."""
    return list(_layout.unpack_from(raw))


def first_argument(values: list[int]) -> int:
    """Return the first argument of a function that has just been entered."""
    return values[_ARGUMENT]


def program_counter(values: list[int]) -> int:
    """Return the program counter."""
    return values[_COUNTER]


def set_program_counter(values: list[int], address: int) -> None:
    """Set the program counter."""
    values[_COUNTER] = address


def result(values: list[int]) -> int:
    """Return what a call has returned."""
    return values[_RESULT]


def without_call(values: list[int]) -> list[int]:
    """Return the registers of a program on x86-64 that is in no call: nothing is restarted."""
    after = list(values)
    after[_CALL] = 0xFFFFFFFFFFFFFFFF
    return after


def calling(values: list[int], arguments: tuple[int, ...]) -> list[int]:
    """Return the registers with the arguments of a call that is about to be made."""
    after = list(values)
    for place, argument in zip(_CALLED_WITH, arguments, strict=True):
        after[place] = argument
    return after


def skip_call(tid: int, result: int) -> bool:
    """Skip the call that `tid` is stopped in, and make `result` its result; -errno to fail.

    seccomp(2), SECCOMP_RET_TRACE: the kernel skips a call whose number the tracer sets to -1. The
    result is what the tracer leaves in the register.

    Returns:
        False if that failed; the thread must then not be resumed.
    """
    values = load(tid)
    if values is None:
        return is_gone()
    values[_RESULT] = result
    if MACHINE == "aarch64":  # the number has a register set of its own
        vector = c_library.addressof(_number_vector)
        if request(SETREGSET, tid, NT_ARM_SYSTEM_CALL, vector) == -1:
            return is_gone()
    else:
        values[_CALL] = -1
    return store(tid, values) or is_gone()


def skip_foreign_call(tid: int, result: int) -> bool:
    """Skip a call of another architecture; only on x86-64.

    A 32-bit program has fewer registers, which GETREGSET returns in another layout. To a 64-bit
    tracer, struct user (sys/user.h) is always the same: ptrace(2), PTRACE_POKEUSER.

    Returns:
        False if that failed; the thread must then not be resumed.
    """
    for place, value in ((_RESULT, result), (_CALL, -1)):
        if request(POKEUSER, tid, 8 * place, value & 0xFFFFFFFFFFFFFFFF) == -1:
            return is_gone()
    return True


def replace_call(tid: int, values: list[int], number: int, arguments: tuple[int, ...]) -> bool:
    """Replace the call that the filter has stopped `tid` in; `values` are its registers.

    The first argument has to stay the same: aarch64 keeps a copy of it out of reach, for a call
    that is restarted after a signal.

    Returns:
        False if that failed; the thread must then not be resumed.
    """
    changed = list(values)
    for place, argument in zip(_CALLED_WITH, arguments, strict=True):
        changed[place] = argument
    if MACHINE == "aarch64":
        _number.value = number
        vector = c_library.addressof(_number_vector)
        is_set = request(SETREGSET, tid, NT_ARM_SYSTEM_CALL, vector) != -1
        _number.value = -1
        if not is_set:
            return is_gone()
    else:
        changed[_CALL] = number
    return store(tid, changed) or is_gone()


def restore_call(tid: int, values: list[int], result: int) -> bool:
    """Undo `replace_call` at the exit of the call, and make `result` the result.

    Returns:
        False if that failed; the thread must then not be resumed.
    """
    now = load(tid)
    if now is None:
        return is_gone()
    for place in _CALLED_WITH:
        now[place] = values[place]
    if MACHINE != "aarch64":
        now[_CALL] = values[_CALL]
    now[_RESULT] = result
    return store(tid, now) or is_gone()


def repeat_call(tid: int, values: list[int], number: int) -> bool:
    """Undo `replace_call` at the exit of the call, and have `tid` make its own call `number`.

    The instruction is two bytes long on x86-64, and four on aarch64, where the number is in a
    register of its own.

    Returns:
        False if that failed; the thread must then not be resumed.
    """
    again = list(values)
    if MACHINE == "aarch64":
        again[_COUNTER] -= 4
    else:
        again[_COUNTER] -= 2
        again[_RESULT] = number
        again[_CALL] = -1  # It is in no call: nothing is to be restarted.
    return store(tid, again) or is_gone()


def emulated(
    code: bytes, address: int, values: list[int], machine: str = MACHINE
) -> tuple[list[int], bytes] | None:
    """Emulate the instruction that a breakpoint covers, if it is a common first instruction.

    Args:
        code: The first eight bytes of the function, as they are without the breakpoint.
        address: Where it starts.
        values: The registers on entry.
        machine: As `uname -m` says.

    Returns:
        The registers after it, and the bytes to write at the stack pointer. None for any other
        instruction, which has to be single-stepped.
    """
    after = list(values)
    if machine == "aarch64":
        word = int.from_bytes(code[:4], "little")
        if word in (0xD503245F, 0xD503201F):  # bti c, nop
            after[32] = address + 4
            return after, b""
        if word & 0xFFC003E0 == 0xA98003E0:  # stp Xt, Xu, [sp, #offset]!
            offset = (word >> 15 & 0x7F) - (word >> 14 & 0x80)
            pair = [values[index] if index < 31 else 0 for index in (word & 31, word >> 10 & 31)]
            after[31] = values[31] + 8 * offset
            after[32] = address + 4
            return after, struct.pack("=2Q", *pair)
        return None
    if code.startswith(b"\xf3\x0f\x1e\xfa"):  # endbr64
        after[16] = address + 4
        return after, b""
    wide = code[0] == 0x41
    opcode = code[1] if wide else code[0]
    if 0x50 <= opcode <= 0x57:  # push
        pushed = values[_PUSHED[opcode - 0x50 + 8 * wide]]
        after[19] = values[19] - 8
        after[16] = address + 1 + wide
        return after, struct.pack("=Q", pushed)
    return None


def stack_pointer(values: list[int]) -> int:
    """Return the stack pointer."""
    return values[_STACK]
