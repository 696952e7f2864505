"""System calls that Python has no function for, with errors that name what was being done.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import struct

from buildperm.tracer.recorder import c_library

PR_SET_PDEATHSIG = 1
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2

_SECCOMP = {"x86_64": 317, "aarch64": 277}  # Its number: asm/unistd.h.
_SET_MODE_FILTER, _NEW_LISTENER = 1, 1 << 3  # seccomp(2)
_CAPABILITY_VERSION_3 = 0x20080522  # capget(2)
_CLOSE_RANGE = 436  # The same number on every architecture: asm-generic/unistd.h.

_libc = c_library.libc
_libc.syscall.restype = c_library.c_long
_libc.prctl.argtypes = [c_library.c_int] + [c_library.c_ulong] * 4


def failure(stage: str) -> OSError:
    """Make the error of the system call that has just failed, saying that it was doing `stage`."""
    number = c_library.get_errno()
    return OSError(number, f"{stage}: {os.strerror(number)}")


def call(number: int, *arguments: int | bytes) -> int:
    """Make system call `number`; -1 where it fails, and `failure` then tells why.

    Bytes are passed as a pointer to them, for the kernel to read, with a NUL behind.
    """
    long = c_library.c_long
    given = [argument if isinstance(argument, bytes) else long(argument) for argument in arguments]
    result: int = _libc.syscall(long(number), *given)
    return result


def control(option: int, *arguments: int) -> None:
    """Call prctl(2).

    Raises:
        OSError: The kernel refuses.
    """
    padded = (*arguments, 0, 0, 0, 0)[:4]
    if _libc.prctl(option, *padded) != 0:
        raise failure(f"prctl {option}")


def install(program: bytes) -> None:
    """Put the calling thread under the seccomp filter `program`; no-new-privileges must be on.

    Raises:
        OSError: The kernel refuses; EINVAL where it knows no filters.
    """
    instructions = c_library.create_string_buffer(program, len(program))
    # struct sock_fprog: bpf(4)'s classic program as seccomp(2) takes it.
    header = struct.pack("@HP", len(program) // 8, c_library.addressof(instructions))
    filter_ = c_library.create_string_buffer(header, len(header))
    if _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, c_library.addressof(filter_), 0, 0) != 0:
        raise failure("seccomp: install the filter")


def install_asking(program: bytes) -> int:
    """Do the same, and return a descriptor for whoever answers calls: seccomp_unotify(2).

    Raises:
        OSError: The kernel refuses; EBUSY where somebody answers calls already.
    """
    instructions = c_library.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, c_library.addressof(instructions))
    number = _SECCOMP.get(os.uname().machine, -1)
    listener = call(number, _SET_MODE_FILTER, _NEW_LISTENER, header)
    if listener < 0:
        raise failure("seccomp: ask about calls")
    return listener


def keep_capabilities(kept: int) -> None:
    """Give up all capabilities but those in the set `kept`; there may be fewer than that.

    With no-new-privileges on, executing a program does not bring them back, not even to root:
    prctl(2), PR_SET_NO_NEW_PRIVS.

    Raises:
        OSError: The kernel refuses.
    """
    header = c_library.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), 8)
    sets = c_library.create_string_buffer(24)  # Effective, permitted, inheritable; low, then high.
    if _libc.capget(header, sets) != 0:
        raise failure("read the capabilities")
    low, high = struct.unpack_from("=4xI8xI", sets)
    left = (low | high << 32) & kept
    struct.pack_into("=6I", sets, 0, *(left & 0xFFFFFFFF,) * 2, 0, *(left >> 32,) * 2, 0)
    if _libc.capset(header, sets) != 0:
        raise failure("give up capabilities")


def close_range(first: int, last: int) -> None:
    """Close the descriptors `first` to `last`, both included.

    Raises:
        OSError: Never on a kernel that knows close_range(2), which every Landlock kernel does.
    """
    if first <= last and call(_CLOSE_RANGE, first, last, 0) != 0:
        raise failure("close inherited descriptors")
