"""Changes of metadata that a script asks for: mode, owner, times and extended attributes.

Each reads its arguments from the stopped thread once, tells whether the kernel would deny it, and
applies itself to a file by a link to a descriptor.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os
import stat
import struct
from errno import E2BIG, EACCES, EFAULT, EINVAL, EOPNOTSUPP, EPERM, ERANGE

from buildperm.supervisor.caller_rights import CallFailedError
from buildperm.tracer.recorder import c_library, memory
from buildperm.tracer.recorder.location import AT_FDCWD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from buildperm.supervisor.caller_rights import Caller
    from buildperm.tracer.recorder.observation import SyscallInfo

    MetadataChange: TypeAlias = "ModeChange | OwnerChange | TimesChange | AttributeChange"

_UTIME_NOW, _UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
_SECOND = 1_000_000_000

_NAME_MAX, _SIZE_MAX = 255, 65_536  # limits.h: XATTR_NAME_MAX, XATTR_SIZE_MAX
_LISTS = (b"system.posix_acl_access", b"system.posix_acl_default")

_UNCHANGED = 0xFFFFFFFF  # chown(2): an owner or group of -1
_SETUID = stat.S_ISUID | stat.S_ISGID

_utimensat = c_library.short_libc.utimensat
_utimensat.argtypes = (c_library.c_int, c_library.c_char_p, c_library.c_char_p, c_library.c_int)


class ModeChange:
    """A change by chmod(2)."""

    is_nothing = False  # Only times can be left as they are.

    def __init__(self, tid: int, arguments: SyscallInfo, at: int) -> None:
        self._mode = arguments[at] & 0o7777

    def denial(self, caller: Caller, _link: bytes, about: os.stat_result) -> int:
        """Return the errno with which the kernel would deny it; 0 if it would not."""
        return 0 if caller.owns(about) else EPERM

    def apply(self, link: bytes, about: os.stat_result) -> None:
        """Change the file behind `link`, which names a descriptor."""
        if stat.S_ISLNK(about.st_mode):
            raise CallFailedError(EOPNOTSUPP)  # Older kernels change it all the same.
        kept = 0
        if stat.S_ISDIR(about.st_mode):  # A folder may stay setgid, which it inherits.
            kept = about.st_mode & stat.S_ISGID
        os.chmod(link, self._mode & ~_SETUID | self._mode & kept)


class OwnerChange:
    """A change by chown(2)."""

    is_nothing = False  # Only times can be left as they are.

    def __init__(self, tid: int, arguments: SyscallInfo, at: int) -> None:
        self._user, self._group = (number & 0xFFFFFFFF for number in arguments[at : at + 2])

    def denial(self, caller: Caller, _link: bytes, about: os.stat_result) -> int:
        """Return the errno with which the kernel would deny it; 0 if it would not."""
        if caller.is_privileged or self._user == self._group == _UNCHANGED:
            return 0
        is_own = (
            caller.user == about.st_uid
            and self._user in (_UNCHANGED, about.st_uid)
            and self._group in (_UNCHANGED, about.st_gid, *caller.groups)
        )
        return 0 if is_own else EPERM

    def apply(self, link: bytes, _about: os.stat_result) -> None:
        """Change the file behind `link`, which names a descriptor."""
        user, group = (-1 if i == _UNCHANGED else i for i in (self._user, self._group))
        os.chown(link, user, group)


class TimesChange:
    """A change by utimensat(2) or one of its older forms."""

    def __init__(self, tid: int, arguments: SyscallInfo, at: int, name: str) -> None:
        self._times: bytes | None = None
        self._is_now = True
        self.is_nothing = False
        if not arguments[at]:
            return
        first, first_part, second, second_part = _times(tid, arguments[at], name)
        parts = (first_part, second_part)
        if name == "utimensat" and parts == (_UTIME_OMIT, _UTIME_OMIT):
            self.is_nothing = True
            return
        if any(not 0 <= p < _SECOND and p not in (_UTIME_NOW, _UTIME_OMIT) for p in parts):
            raise CallFailedError(EINVAL)
        self._is_now = parts == (_UTIME_NOW, _UTIME_NOW)
        self._times = struct.pack("=4q", first, first_part, second, second_part)

    def denial(self, caller: Caller, link: bytes, about: os.stat_result) -> int:
        """Return the errno with which the kernel would deny it; 0 if it would not."""
        if caller.owns(about):
            return 0
        if self._is_now:
            return 0 if caller.may_write(link, about) else EACCES
        return EPERM

    def apply(self, link: bytes, _about: os.stat_result) -> None:
        """Change the file behind `link`, which names a descriptor."""
        if _utimensat(AT_FDCWD, link, self._times, 0) != 0:
            raise CallFailedError(c_library.get_errno())


class AttributeChange:
    """A change by setxattr(2) or removexattr(2)."""

    is_nothing = False  # Only times can be left as they are.

    def __init__(self, tid: int, arguments: SyscallInfo, at: int, call: str) -> None:
        self._value: bytes | None = None  # None: removed.
        self._flags = 0
        pointer = size = 0
        if call == "setxattrat":
            pointer, size, self._flags = _attribute_arguments(tid, arguments[at + 1 : at + 3])
        elif "remove" not in call:
            pointer, size = arguments[at + 1 : at + 3]
            self._flags = arguments[at + 3] & 0xFFFFFFFF
        if self._flags & ~(os.XATTR_CREATE | os.XATTR_REPLACE):
            raise CallFailedError(EINVAL)
        name = memory.c_string(tid, arguments[at], _NAME_MAX + 1)
        if name is None:
            raise CallFailedError(EFAULT)
        if not 0 < len(name) <= _NAME_MAX:
            raise CallFailedError(ERANGE)
        self._name = name
        if "remove" not in call:
            if size > _SIZE_MAX:
                raise CallFailedError(E2BIG)
            self._value = _block(tid, pointer, size)

    def denial(self, caller: Caller, link: bytes, about: os.stat_result) -> int:
        """Return the errno with which the kernel would deny it; 0 if it would not."""
        if self._name.startswith(b"user."):
            if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
                return EPERM
            return 0 if caller.may_write(link, about) else EACCES
        if self._name in _LISTS:
            return 0 if caller.owns(about) else EPERM
        return 0 if caller.is_privileged else EPERM

    def apply(self, link: bytes, _about: os.stat_result) -> None:
        """Change the file behind `link`, which names a descriptor.

        For tools, this file system has no others: their meaning (capabilities of programs, labels,
        layers of containers) is nothing that a script may set.
        """
        if not self._name.startswith(b"user.") and self._name not in _LISTS:
            raise CallFailedError(EOPNOTSUPP)
        if self._value is None:
            os.removexattr(link, self._name)
        else:
            os.setxattr(link, self._name, self._value, self._flags)


def _times(tid: int, pointer: int, name: str) -> tuple[int, ...]:
    """Read two times as seconds and nanoseconds, from the structure that the call `name` takes."""
    size = 16 if name == "utime" else 32
    raw = memory.read(tid, pointer, size)
    if len(raw) < size:
        raise CallFailedError(EFAULT)
    if name == "utime":
        first, second = struct.unpack("=2q", raw)
        return first, 0, second, 0
    first, first_part, second, second_part = struct.unpack("=4q", raw)
    if name != "utimensat":
        if not (0 <= first_part < 1_000_000 and 0 <= second_part < 1_000_000):
            raise CallFailedError(EINVAL)
        return first, first_part * 1000, second, second_part * 1000
    return first, first_part, second, second_part


def _attribute_arguments(tid: int, where: tuple[int, ...]) -> tuple[int, int, int]:
    """Read `struct xattr_args`: setxattrat(2); what only newer kernels know has to be 0."""
    pointer, size = where
    if size < 16:
        raise CallFailedError(EINVAL)
    if size > memory.PAGE:
        raise CallFailedError(E2BIG)
    raw = _block(tid, pointer, size)
    if raw[16:].strip(b"\0"):
        raise CallFailedError(E2BIG)
    value, length, flags = struct.unpack("=QII", raw[:16])
    return value, length, flags


def _block(tid: int, pointer: int, size: int) -> bytes:
    """Read exactly `size` bytes."""
    found = bytearray()
    while len(found) < size:
        piece = memory.read(tid, pointer + len(found), min(memory.PAGE, size - len(found)))
        if not piece:
            raise CallFailedError(EFAULT)
        found += piece
    return bytes(found)
