"""Landlock: what a process and its descendants may do with files, TCP, signals and sockets.

Everything that the kernel can refuse is refused, and rules add to it: Documentation/
userspace-api/landlock.rst in the kernel. There is no rule that takes away from a folder that
another rule grants; see `supervisor.exclusion`.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import errno
import os
import stat
import struct

from buildperm.supervisor import syscalls
from buildperm.tracer.notation import encode
from buildperm.tracer.system_values import open_flags

NEWEST = 7
"""The newest ABI whose rights are known here; on newer kernels those of ABI 7 are used."""

# include/uapi/linux/landlock.h, "Filesystem flags".
EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
REMOVE_DIR = 1 << 4
REMOVE_FILE = 1 << 5
MAKE_CHAR = 1 << 6
MAKE_DIR = 1 << 7
MAKE_REG = 1 << 8
MAKE_SOCK = 1 << 9
MAKE_FIFO = 1 << 10
MAKE_BLOCK = 1 << 11
MAKE_SYM = 1 << 12
REFER = 1 << 13  # ABI 2: rename and link to another folder.
TRUNCATE = 1 << 14  # ABI 3.
IOCTL_DEV = 1 << 15  # ABI 5.

FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""The rights that a rule for something other than a folder may hold; others give EINVAL."""

TOO_DEEP = "16 sandboxes are stacked in one another already; build outside of the others"
"""What E2BIG means: landlock_restrict_self(2)."""

_TCP = 0b11  # LANDLOCK_ACCESS_NET_BIND_TCP and _CONNECT_TCP, ABI 4.
_SCOPES = 0b11  # LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET and _SIGNAL, ABI 6.

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # On every architecture.
_CREATE_RULESET_VERSION, _CREATE_RULESET_ERRATA = 1, 2
# openat2(2), which every Landlock kernel knows.
_OPENAT2, _AT_FDCWD, _RESOLVE_NO_SYMLINKS = 437, -100, 0x04
_HOW = struct.pack("=QQQ", open_flags("O_PATH", "O_CLOEXEC"), 0, _RESOLVE_NO_SYMLINKS)
_RULE_PATH_BENEATH = 1


def abi(cap: int = NEWEST) -> int:
    """Ask the kernel for its Landlock ABI, at most `cap`; 0 where there is no Landlock.

    The kernel is asked by a call: many containers in which Landlock works lack
    `/sys/kernel/security/lsm`.
    """
    version = syscalls.call(_CREATE_RULESET, 0, 0, _CREATE_RULESET_VERSION)
    return max(0, min(version, cap, NEWEST))


DISCONNECTED = 3
"""The erratum about folders moved out of a bind mount, where rights could be widened.

The other two, about sockets other than TCP and about threads, refused too much.
"""


def errata() -> frozenset[int]:
    """Return the numbers of the errata that are fixed in this kernel's Landlock.

    landlock.rst, "Errata": none where the kernel is too old to tell.
    """
    found = syscalls.call(_CREATE_RULESET, 0, 0, _CREATE_RULESET_ERRATA)
    return frozenset(bit + 1 for bit in range(32) if found > 0 and found >> bit & 1)


def file_rights(version: int) -> int:
    """All rights over files that ABI `version` can refuse: landlock.rst, "Previous limitations"."""
    known = REFER - 1  # ABI 1: 13 rights.
    if version >= 2:
        known |= REFER
    if version >= 3:
        known |= TRUNCATE
    if version >= 5:
        known |= IOCTL_DEV
    return known


def attributes(version: int) -> bytes:
    """`struct landlock_ruleset_attr` that handles all that ABI `version` can refuse."""
    if version < 4:
        return struct.pack("=Q", file_rights(version))
    if version < 6:
        return struct.pack("=QQ", file_rights(version), _TCP)
    return struct.pack("=QQQ", file_rights(version), _TCP, _SCOPES)


def ruleset(version: int) -> int:
    """Make an empty ruleset, which refuses everything, and return its descriptor.

    Raises:
        OSError: The kernel has no Landlock, or it is switched off.
    """
    content = attributes(version)
    descriptor = syscalls.call(_CREATE_RULESET, content, len(content), 0)
    if descriptor < 0:
        raise syscalls.failure("Landlock: create the ruleset")
    os.set_inheritable(descriptor, False)
    return descriptor


def allow(descriptor: int, path: bytes, rights: int, version: int) -> bool:
    """Allow `rights` on `path`, and on everything below it if it is a folder.

    No link in `path` is followed: it would be one that a script, running at the same time, has
    made since. Rights that a file cannot have, or that ABI `version` does not know, are left out.
    False if nothing is at `path`, or no right is left.

    Raises:
        OSError: The kernel refuses the rule.
    """
    if b"\0" in path:
        return False  # Such a path names nothing.
    target = syscalls.call(_OPENAT2, _AT_FDCWD, path, _HOW, len(_HOW))
    if target < 0:
        error = syscalls.failure(f"Landlock: open `{encode(path)}`")
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP):
            return False
        raise error
    try:
        rights &= file_rights(version)
        if not stat.S_ISDIR(os.fstat(target).st_mode):
            rights &= FILE_RIGHTS
        if not rights:
            return False
        beneath = struct.pack("=Qi", rights, target)  # Packed: landlock.h.
        if syscalls.call(_ADD_RULE, descriptor, _RULE_PATH_BENEATH, beneath, 0) != 0:
            raise syscalls.failure(f"Landlock: add the rule for `{encode(path)}`")
    finally:
        os.close(target)
    return True


def restrict(descriptor: int) -> None:
    """Restrict the calling thread, and all it starts, by a ruleset; no_new_privs must be set.

    Raises:
        OSError: E2BIG where 16 rulesets are stacked already, which is a sandbox in a sandbox.
    """
    if syscalls.call(_RESTRICT_SELF, descriptor, 0) != 0:
        error = syscalls.failure("Landlock: restrict the process")
        if error.errno == errno.E2BIG:
            error.strerror = f"Landlock: {TOO_DEEP}"
        raise error
