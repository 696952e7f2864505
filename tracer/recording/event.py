"""What a traced process did, one dataclass per kind of event.

The supervisor never makes these: it writes recordings with `tracer.recorder.writer`. All that
comes later reads them back as the types below. Their fields are those of `tracer.fields`, which a
test checks. `count` folds repetitions: the same thing done by the same chain of programs with the
same outcome is one event, dated by its first occurrence.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeAlias


class OpenMode(StrEnum):
    """What an open file may be used for: `open(2)`, access modes and O_PATH."""

    READ = "read"
    WRITE = "write"
    READ_WRITE = "read-write"
    PATH = "path"
    LOOK = "look"  # It was only asked about: stat(2), access(2), readlink(2).


class Change(StrEnum):
    """A change of the file system that is not an open."""

    REMOVED = "removed"  # unlink, rmdir
    RENAMED = "renamed"
    LINKED = "linked"  # hard link
    SYMLINKED = "symlinked"
    DIRECTORY_MADE = "directory-made"
    NODE_MADE = "node-made"  # mknod: fifo, socket, device
    TRUNCATED = "truncated"
    MODE_CHANGED = "mode-changed"
    OWNER_CHANGED = "owner-changed"
    TIMES_CHANGED = "times-changed"
    ATTRIBUTE_CHANGED = "attribute-changed"  # extended attributes
    LED_OUT = "led-out"  # No call: a link that was left in OUT_DIR, to what takes a grant.


class SocketUse(StrEnum):
    """What was tried with a socket."""

    CREATED = "created"
    CONNECTED = "connected"
    BOUND = "bound"
    SENT = "sent"  # sendto with an address


class Verdict(StrEnum):
    """What the directive gate made of a line that the script printed for Cargo."""

    FREE = "free"
    GRANTED = "granted"
    REFUSED = "refused"
    FORBIDDEN = "forbidden"  # never grantable


@dataclass(frozen=True, slots=True)
class FileOpened:
    """A path that was opened, or that somebody tried to open."""

    TYPE: ClassVar = "opened"
    at_ns: int  # Nanoseconds of CLOCK_MONOTONIC since the recording began.
    pid: int  # As the recorder sees it.
    path: bytes  # Absolute. The kernel's own answer where it succeeded, /proc/self for its own.
    mode: OpenMode
    creates: bool  # O_CREAT was asked for.
    errno: int  # 0 where the call succeeded.
    refused: bool  # The sandbox refused it; outside, the same call would have passed.
    raced: bool  # The requested path and the opened one differ, and no link explains it.
    count: int = 1
    directory: bool = False  # It is one, or was asked for as one; earlier recordings do not tell.


@dataclass(frozen=True, slots=True)
class PathChanged:
    """A change of the file system, or the attempt."""

    TYPE: ClassVar = "changed"
    at_ns: int
    pid: int
    change: Change
    path: bytes  # What was changed; for links and renames the *new* name.
    other: bytes  # Rename and link: the old name. Symbolic link: its text. Else empty.
    errno: int
    refused: bool
    count: int = 1
    raced: bool = False  # Rename and link: the names led elsewhere before, and may be meant.


@dataclass(frozen=True, slots=True)
class Executed:
    """A program that was started, or that somebody tried to start."""

    TYPE: ClassVar = "executed"
    at_ns: int
    pid: int  # Of the process that started it; of the build script for its own start.
    path: bytes  # The resolved file (`/proc/PID/exe`) where it succeeded; interpreter for `#!`.
    requested: bytes  # The path that was passed to execve, made absolute.
    argv: tuple[bytes, ...]  # At most 64 arguments, 4096 bytes in all.
    errno: int
    refused: bool
    count: int = 1


@dataclass(frozen=True, slots=True)
class SocketUsed:
    """A use of a socket that leaves the process tree."""

    TYPE: ClassVar = "socket"
    at_ns: int
    pid: int
    use: SocketUse
    family: str  # inet, inet6, unix, netlink, or the number as text; host: by the proxy.
    address: str  # "10.0.0.1:53", "[::1]:80", a unix path in notation, "@name", or the type.
    errno: int
    refused: bool
    count: int = 1
    sent: int = 0  # Bytes through the egress proxy: all repetitions together.
    received: int = 0


@dataclass(frozen=True, slots=True)
class CallRefused:
    """A system call that the filter refuses whatever its arguments point to."""

    TYPE: ClassVar = "call"
    at_ns: int
    pid: int
    call: str
    errno: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class EnvironmentRead:
    """A variable that the build script asked libc's `getenv` for."""

    TYPE: ClassVar = "environment"
    at_ns: int
    pid: int
    name: bytes
    present: bool  # The script got a value.
    withheld: bool  # It exists outside and was kept from the script.
    count: int = 1
    secret: str = ""  # What of its value was kept from the script; empty if that is not why.


@dataclass(frozen=True, slots=True)
class DirectivePrinted:
    """A line of standard output that tells Cargo to do something."""

    TYPE: ClassVar = "directive"
    at_ns: int
    key: str  # `rustc-env`, in notation.
    value: str  # In notation.
    verdict: Verdict
    count: int = 1


Event: TypeAlias = (
    FileOpened
    | PathChanged
    | Executed
    | SocketUsed
    | CallRefused
    | EnvironmentRead
    | DirectivePrinted
)


@dataclass(frozen=True, slots=True)
class RecordedProcess:
    """One program in one process of the tree.

    A fork that has executed nothing counts as its parent, in `Event.pid` too. One that executes a
    second program becomes another process, whose parent is the first.
    """

    pid: int  # Unique: plus 4194304 (PID_MAX_LIMIT) for each earlier program that had the same one.
    parent: int  # pid of the process that made it; 0 for the build script itself.
    program: bytes  # The file it was executed from; the interpreter for `#!`.
    argv: tuple[bytes, ...]
    started_ns: int | None = None  # As `at_ns`; None where a recording does not tell.
    ended_ns: int | None = None  # None where it is not known; nor if it had to be killed.
    status: int | None = None  # wait(2); None too where it became another program.
