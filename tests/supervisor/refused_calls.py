"""Kernels that refuse a call, as the filter of a container does."""

from __future__ import annotations

import errno
import struct

from buildperm.supervisor import syscalls


def refuse_pidfd_getfd() -> None:
    """Install a filter that lets nobody copy descriptors, as Docker's does."""
    number, refused = 438, 0x00050000 | errno.EPERM
    program = struct.pack("=HBBI", 0x20, 0, 0, 0) + struct.pack("=HBBI", 0x15, 0, 1, number)
    program += struct.pack("=HBBI", 0x06, 0, 0, refused) + struct.pack(
        "=HBBI", 0x06, 0, 0, 0x7FFF0000
    )
    syscalls.control(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    syscalls.install(program)
