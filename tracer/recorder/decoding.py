"""Reads what the arguments of a call point to: flags, addresses, argument lists.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import _socket
import os
import struct

from buildperm.tracer.notation import encode
from buildperm.tracer.recorder import location, memory

ARGUMENTS = 64  # How many arguments of a program are kept,
ARGUMENTS_SIZE = 4096  # and how many bytes of them.

RESTARTING = 512
"""An errno from here on (ERESTARTSYS …) is for the kernel: it makes the call again."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_O_PATH = 0o10000000  # asm-generic/fcntl.h; the same on x86-64 and aarch64
_O_TMPFILE = 0o20000000  # __O_TMPFILE, which is O_TMPFILE without O_DIRECTORY
_O_NOATIME = 0o1000000
_ADDRESS_MAX = 128  # sizeof(struct sockaddr_storage): socket(7)

_FAMILIES = {
    int(_socket.AF_INET): "inet",
    int(_socket.AF_INET6): "inet6",
    int(_socket.AF_UNIX): "unix",
    int(_socket.AF_NETLINK): "netlink",
}
_TYPES = {
    int(_socket.SOCK_STREAM): "stream",
    int(_socket.SOCK_DGRAM): "dgram",
    int(_socket.SOCK_RAW): "raw",
    int(_socket.SOCK_SEQPACKET): "seqpacket",
}
_TYPE_MASK = 0xF  # socket(2): SOCK_NONBLOCK and SOCK_CLOEXEC are above it

# By call, the argument for which it is refused although it is allowed otherwise: its index, and the
# names of its values. clone(2), fcntl(2), prctl(2), seccomp(2).
_CLONE_FLAGS = {0x00800000: "CLONE_UNTRACED", 0x00002000: "CLONE_PTRACE"}
_NAMED: dict[str, tuple[int, dict[int, str]]] = {
    "fcntl": (1, {8: "F_SETOWN", 15: "F_SETOWN_EX"}),
    "prctl": (
        0,
        {4: "PR_SET_DUMPABLE", 22: "PR_SET_SECCOMP", 35: "PR_SET_MM", 0x59616D61: "PR_SET_PTRACER"},
    ),
    "seccomp": (0, {0: "SECCOMP_SET_MODE_STRICT", 1: "SECCOMP_SET_MODE_FILTER"}),
}
_NEW_LISTENER = 0x8  # SECCOMP_FILTER_FLAG_NEW_LISTENER

_MODES = ("read", "write", "read-write", "read-write")  # O_ACCMODE; 3 is "for ioctl only"


def mode(flags: int) -> str:
    """Return what a file opened with `flags` may be used for: `event.OpenMode`."""
    if flags & _O_PATH:
        return "path"
    if flags & os.O_TRUNC and not flags & os.O_ACCMODE:
        return "read-write"  # open(2), O_TRUNC: it empties the file all the same
    return _MODES[flags & os.O_ACCMODE]


def creates(flags: int) -> bool:
    """Tell whether `flags` ask for a new file."""
    return bool(flags & (os.O_CREAT | _O_TMPFILE)) and not flags & _O_PATH


def directory(flags: int) -> bool:
    """Tell whether only a directory can be opened with `flags`, as opendir(3) does to list it."""
    return bool(flags & os.O_DIRECTORY) and not creates(flags)


def needs_ownership(flags: int) -> bool:
    """Tell whether only the owner of a file can open it with `flags`."""
    return bool(flags & _O_NOATIME)


def family(number: int) -> str:
    """Return the word for an address family, or its number."""
    return _FAMILIES.get(number, str(number))


def socket_type(number: int) -> str:
    """Return the word for a type of socket, or its number."""
    kind = number & _TYPE_MASK
    return _TYPES.get(kind, str(kind))


def refused_call(name: str, syscall: Sequence[int]) -> str:
    """Return the name of a refused call, with the argument that it was refused for, if any.

    Args:
        name: Of the call.
        syscall: Its number, then its arguments.
    """
    if name == "clone":
        flags = [text for flag, text in _CLONE_FLAGS.items() if syscall[1] & flag]
        return f"clone({flags[0]})" if flags else name
    # With a null pointer it only asks whether the kernel knows the flag, as libseccomp does.
    if name == "seccomp" and syscall[1] & 1 and syscall[2] & _NEW_LISTENER and syscall[3]:
        return "seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER)"
    at, values = _NAMED.get(name, (0, {}))
    value = values.get(syscall[at + 1] & 0xFFFFFFFF)
    return f"{name}({value})" if value else name


def address(pid: int, tid: int, pointer: int, size: int) -> tuple[str, str] | None:
    """Return family and address of a struct sockaddr, or None where the kernel would fault.

    Raises:
        PermissionError, ProcessLookupError: As for `memory.read`.
    """
    size &= 0xFFFFFFFF
    if size > _ADDRESS_MAX:  # EINVAL: the kernel does not look at it
        return None
    raw = memory.read(tid, pointer, size)
    return None if len(raw) < size else named_address(pid, tid, raw)


def named_address(pid: int, tid: int, raw: bytes) -> tuple[str, str] | None:
    """Return family and address of a struct sockaddr that was read; None if it is too short."""
    if len(raw) < 2:
        return None
    number = struct.unpack_from("=H", raw)[0]
    return family(number), _format_address(pid, tid, number, raw)


def message_address(pid: int, tid: int, pointer: int) -> tuple[str, str] | None:
    """Return family and address of the first struct msghdr at `pointer`; None if it has none.

    Raises:
        PermissionError, ProcessLookupError: As for `memory.read`.
    """
    header = memory.read(tid, pointer, 12)
    if len(header) < 12:
        return None
    name, size = struct.unpack("=QI", header)
    return address(pid, tid, name, size) if name else None


def arguments(tid: int, pointer: int) -> tuple[bytes, ...]:
    """Return the texts of a NULL-terminated array, cut at the limits above.

    Raises:
        PermissionError, ProcessLookupError: As for `memory.read`.
    """
    found = []
    left = ARGUMENTS_SIZE
    for word in memory.pointers(tid, pointer, ARGUMENTS):
        argument = memory.c_string(tid, word, left)
        if argument is None:
            break
        found.append(argument)
        left -= len(argument)
        if left <= 0:
            break
    return tuple(found)


def command_line(pid: int) -> tuple[bytes, ...]:
    """Return the arguments of a program that has just been executed, as the kernel has them."""
    try:
        file = os.open(b"/proc/%d/cmdline" % pid, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ()
    try:
        raw = os.read(file, ARGUMENTS_SIZE)
    except OSError:
        return ()
    finally:
        os.close(file)
    return tuple(raw.removesuffix(b"\0").split(b"\0")[:ARGUMENTS]) if raw else ()


def _format_address(pid: int, tid: int, number: int, raw: bytes) -> str:
    try:
        if number == _socket.AF_INET:
            port = struct.unpack_from("!H", raw, 2)[0]
            return f"{_socket.inet_ntop(_socket.AF_INET, raw[4:8])}:{port}"
        if number == _socket.AF_INET6:
            port = struct.unpack_from("!H", raw, 2)[0]
            return f"[{_socket.inet_ntop(_socket.AF_INET6, raw[8:24])}]:{port}"
    except (ValueError, struct.error):  # too short: EINVAL
        return ""
    if number == _socket.AF_UNIX:
        name = raw[2:]
        if name.startswith(b"\0"):  # unix(7), "abstract": every byte counts
            return "@" + encode(name[1:])
        path = name.split(b"\0", 1)[0]
        if not path:
            return ""
        # There is no connection yet whose address the kernel could tell, and a path can be written
        # to look like another: `/proc/self/root/run/docker.sock`, `/run/nscd/../docker.sock`.
        named = location.absolute(pid, tid, location.AT_FDCWD, path)
        return encode(location.resolved(named) if named.startswith(b"/") else named)
    if number == _socket.AF_NETLINK and len(raw) >= 12:
        port, groups = struct.unpack_from("=II", raw, 4)
        return f"{port}:{groups}"
    return ""
