"""Runs a program on a kernel that refuses one system call.

`refuse_call.py CALL ERRNO PROGRAM ARGS…`. The refusal is the kernel's own, by a seccomp filter, and
holds for everything that is started.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

_PR_SET_NO_NEW_PRIVS = 38  # prctl(2)
_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_CALLS = {  # Numbers by machine, syscalls(2), and the first argument where only that one counts.
    "landlock_create_ruleset": ({"x86_64": 444, "aarch64": 444}, None),
    "nothing": ({"x86_64": 0xFFFF, "aarch64": 0xFFFF}, None),
    "pidfd_getfd": ({"x86_64": 438, "aarch64": 438}, None),
    "ptrace": ({"x86_64": 101, "aarch64": 117}, None),
    "seccomp": ({"x86_64": 157, "aarch64": 167}, _PR_SET_SECCOMP),  # By way of prctl(2).
}


class _Instruction(ctypes.Structure):
    """struct sock_filter."""

    _fields_ = (
        ("code", ctypes.c_uint16),
        ("jt", ctypes.c_uint8),
        ("jf", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("len", ctypes.c_uint16), ("filter", ctypes.POINTER(_Instruction)))


def deny(call: str, number: int) -> None:
    """Have the kernel answer `call` with the error `number` from now on."""
    numbers, argument = _CALLS[call]
    is_any = argument is None
    instructions = (
        (0x20, 0, 0, 0),  # Load seccomp_data.nr: seccomp(2).
        (0x15, 0, 3, numbers[os.uname().machine]),  # Skip so many instructions if not equal.
        (0x20, 0, 0, 16),  # Load the lower half of seccomp_data.args[0].
        (0x15, 0, 0 if is_any else 1, argument or 0),
        (0x06, 0, 0, 0x00050000 | number),  # SECCOMP_RET_ERRNO
        (0x06, 0, 0, 0x7FFF0000),  # SECCOMP_RET_ALLOW
    )
    filtered = (_Instruction * len(instructions))(
        *(_Instruction(*instruction) for instruction in instructions)
    )
    program = _Program(len(filtered), filtered)
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0),
    ):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    deny(sys.argv[1], getattr(errno, sys.argv[2]))
    os.execvp(sys.argv[3], sys.argv[3:])
