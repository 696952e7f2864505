"""The system calls that are recorded, and where their arguments are.

A layout says which argument (counted from 0) holds what. A path is a pair: the argument with the
descriptor it may be relative to (`CWD` where the call has none), and the argument with the path.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias, TypeVar

    Layout: TypeAlias = (
        "OpenLayout | ChangeLayout | ExecutionLayout | SocketLayout | SignalLayout"
        " | CoreLimitLayout | TokenLayout | AffinityLayout | LookLayout"
    )
    _L = TypeVar("_L", bound=Layout)

CWD = -1
"""In the place of a descriptor argument: relative paths start from the working directory."""

BROKERED = 0x8000
"""In the data that the filter gives with a stop: the call may be made by the supervisor instead.

It is made on arguments that were copied, so that nothing can change between check and use. The rest
of the data is the errno with which the call fails where nobody makes it.
"""

FOREIGN = 0x4000
"""In the same data: the number belongs to another architecture, and means nothing here."""

LIGHT_KEY = 0x6275696C64706572
"""Stands in a filter for light observation where each run puts a key of its own."""

FOLDERS_KEY = 0x62706670
"""Stands in a filter for light observation where the first of `FOLDERS_MOST` descriptors goes."""

FOLDERS_MOST = 16
"""Folders of which a script may open whatever is in them: `recorder.folder_reads`.

Their descriptors come one after the other, from a multiple of this number on.
"""

FOLDERS_PAGE = 0x10000
"""Where a script has the page with what `FOLDERS_HOW` says; there is nothing below it."""

FOLDERS_HOW = (FOLDERS_PAGE, FOLDERS_PAGE + 24)
"""Where a `struct open_how` is that opens for reading; the second closes on execution."""

HOW_SIZE = 24
"""Bytes of a `struct open_how`: openat2(2)."""

LOOK_KEY = 0x6C6F6F6B61747468
"""In the sixth argument of a look it says that no recorder need see it: `recorder.open_patch`.

It is no secret. Who looks with it at what is hidden learns as little as anybody.
"""

LISTED_LOOKS = (
    *("stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2"),
    *("readlink", "readlinkat"),
)
"""What tools make with a key that look at paths: `recorder.open_patch`."""

LOOK_KEY_AT = 5
"""No call that looks with it has so many arguments: getxattrat(2) stops each time."""

WRITING_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | 0x400000  # __O_TMPFILE
"""An open with none of these changes nothing: open(2)."""

NAMING = "uname"
"""Tells what the machine is called: stops only where that is collected."""

NOT_FOLLOWED = 0x100
"""AT_SYMLINK_NOFOLLOW: fstatat(2)."""

NONE = -1
"""In the place of any other argument: the call has no such argument."""


class OpenLayout:
    """A call that returns a descriptor for what it opens."""

    __slots__ = ("fixed_flags", "flags", "has_open_how", "path")
    is_conditional = False

    def __init__(
        self,
        path: tuple[int, int],
        flags: int = NONE,
        *,
        fixed_flags: int = 0,
        has_open_how: bool = False,
    ) -> None:
        """Say where its arguments are.

        Args:
            path: Of what is opened.
            flags: As open(2) takes them.
            fixed_flags: What it opens with where it takes none.
            has_open_how: `flags` is a pointer to them: struct open_how, openat2(2).
        """
        self.path = path
        self.flags = flags
        self.fixed_flags = fixed_flags
        self.has_open_how = has_open_how


class ChangeLayout:
    """A call that changes what a path or a descriptor refers to, and returns 0."""

    __slots__ = ("change", "flags", "follows", "other", "path")
    is_conditional = False

    def __init__(
        self,
        change: str,
        path: tuple[int, int],
        other: tuple[int, int] = (NONE, NONE),
        *,
        flags: int = NONE,
        follows: bool = False,
    ) -> None:
        """Say what it does and where its arguments are.

        Args:
            change: A word of `tracer.recording.event.Change`.
            path: Of what is changed; without an argument for the path it is the descriptor's.
            other: The other path; without an argument for a descriptor it is a text.
            flags: AT_* flags: AT_SYMLINK_NOFOLLOW decides about a last link.
            follows: It goes through a last link whatever its flags say.
        """
        self.change = change
        self.path = path
        self.other = other
        self.flags = flags
        self.follows = follows


class ExecutionLayout:
    """A call that executes a program."""

    __slots__ = ("argv", "path")
    is_conditional = False

    def __init__(self, path: tuple[int, int], argv: int) -> None:
        self.path = path
        self.argv = argv


class SocketLayout:
    """A call that makes a socket, or uses one with an address."""

    __slots__ = ("address", "is_conditional", "size", "use")

    def __init__(
        self, use: str, address: int = NONE, size: int = NONE, *, is_conditional: bool = False
    ) -> None:
        """Say what it does and where its arguments are.

        Args:
            use: A word of `tracer.recording.event.SocketUse`.
            address: The struct sockaddr; without a size, the struct msghdr that leads to it:
                recvmsg(2). There is none where a socket is made.
            size: Of the address.
            is_conditional: See `recorded`.
        """
        self.use = use
        self.address = address
        self.size = size
        self.is_conditional = is_conditional


class SignalLayout:
    """A call that sends a signal, or opens a pidfd to do so."""

    __slots__ = ("target",)
    is_conditional = False

    def __init__(self, target: str) -> None:
        self.target = target  # Its first argument: a `process`, a `thread`, or a `descriptor`.


class CoreLimitLayout:
    """A call that stops where it sets the limit of core dumps."""

    __slots__ = ()
    is_conditional = True


class TokenLayout:
    """A call that stops where it moves a few bytes, as clients of a job server do."""

    __slots__ = ("takes",)
    is_conditional = True

    def __init__(self, *, takes: bool) -> None:
        self.takes = takes


class AffinityLayout:
    """A call that stops for `tracer.recorder.cpu_affinity`, and is not recorded."""

    __slots__ = ("sets",)
    is_conditional = False

    def __init__(self, *, sets: bool) -> None:
        self.sets = sets


class LookLayout:
    """A look: a call that asks about what is at a path, and opens nothing."""

    __slots__ = ("fixed_flags", "flags", "path", "reads_link")
    is_conditional = True

    def __init__(
        self,
        path: tuple[int, int],
        flags: int = NONE,
        *,
        fixed_flags: int = 0,
        reads_link: bool = False,
    ) -> None:
        """Say where its arguments are.

        Args:
            path: Of what it asks about.
            flags: AT_* flags: AT_SYMLINK_NOFOLLOW decides about a last link.
            fixed_flags: What it asks with where it takes none.
            reads_link: It says what a link says, and of all else that it is none: readlink(2).
        """
        self.path = path
        self.reads_link = reads_link
        self.flags = flags
        self.fixed_flags = fixed_flags


CALLS: dict[str, Layout] = {
    "open": OpenLayout((CWD, 0), 1),
    "creat": OpenLayout((CWD, 0), fixed_flags=os.O_CREAT | os.O_WRONLY | os.O_TRUNC),
    "openat": OpenLayout((0, 1), 2),
    "openat2": OpenLayout((0, 1), 2, has_open_how=True),
    "unlink": ChangeLayout("removed", (CWD, 0)),
    "unlinkat": ChangeLayout("removed", (0, 1)),
    "rmdir": ChangeLayout("removed", (CWD, 0)),
    "rename": ChangeLayout("renamed", (CWD, 1), (CWD, 0)),
    "renameat": ChangeLayout("renamed", (2, 3), (0, 1)),
    "renameat2": ChangeLayout("renamed", (2, 3), (0, 1)),
    "link": ChangeLayout("linked", (CWD, 1), (CWD, 0)),
    "linkat": ChangeLayout("linked", (2, 3), (0, 1)),
    "symlink": ChangeLayout("symlinked", (CWD, 1), (NONE, 0)),
    "symlinkat": ChangeLayout("symlinked", (1, 2), (NONE, 0)),
    "mkdir": ChangeLayout("directory-made", (CWD, 0)),
    "mkdirat": ChangeLayout("directory-made", (0, 1)),
    "mknod": ChangeLayout("node-made", (CWD, 0)),
    "mknodat": ChangeLayout("node-made", (0, 1)),
    "truncate": ChangeLayout("truncated", (CWD, 0), follows=True),
    "chmod": ChangeLayout("mode-changed", (CWD, 0), follows=True),
    "fchmodat": ChangeLayout("mode-changed", (0, 1), follows=True),
    "fchmodat2": ChangeLayout("mode-changed", (0, 1), flags=3),
    "fchmod": ChangeLayout("mode-changed", (0, NONE)),
    "chown": ChangeLayout("owner-changed", (CWD, 0), follows=True),
    "lchown": ChangeLayout("owner-changed", (CWD, 0)),
    "fchownat": ChangeLayout("owner-changed", (0, 1), flags=4),
    "fchown": ChangeLayout("owner-changed", (0, NONE)),
    "utime": ChangeLayout("times-changed", (CWD, 0), follows=True),
    "utimes": ChangeLayout("times-changed", (CWD, 0), follows=True),
    "futimesat": ChangeLayout("times-changed", (0, 1), follows=True),
    "utimensat": ChangeLayout("times-changed", (0, 1), flags=3),
    "setxattr": ChangeLayout("attribute-changed", (CWD, 0), follows=True),
    "lsetxattr": ChangeLayout("attribute-changed", (CWD, 0)),
    "fsetxattr": ChangeLayout("attribute-changed", (0, NONE)),
    "setxattrat": ChangeLayout("attribute-changed", (0, 1), flags=2),
    "removexattr": ChangeLayout("attribute-changed", (CWD, 0), follows=True),
    "lremovexattr": ChangeLayout("attribute-changed", (CWD, 0)),
    "fremovexattr": ChangeLayout("attribute-changed", (0, NONE)),
    "removexattrat": ChangeLayout("attribute-changed", (0, 1), flags=2),
    "file_setattr": ChangeLayout("attribute-changed", (0, 1), flags=4),
    "execve": ExecutionLayout((CWD, 0), 1),
    "execveat": ExecutionLayout((0, 1), 2),
    "socket": SocketLayout("created"),
    "connect": SocketLayout("connected", 1, 2),
    "bind": SocketLayout("bound", 1, 2),
    "sendto": SocketLayout("sent", 4, 5),  # Only with an address.
    "sendmsg": SocketLayout("sent", 1, is_conditional=True),
    "sendmmsg": SocketLayout("sent", 1, is_conditional=True),
    "kill": SignalLayout("process"),
    "rt_sigqueueinfo": SignalLayout("process"),
    "tgkill": SignalLayout("process"),
    "rt_tgsigqueueinfo": SignalLayout("process"),
    "tkill": SignalLayout("thread"),
    # Before any signal; it fails where the process is not seen.
    "pidfd_open": SignalLayout("process"),
    "pidfd_send_signal": SignalLayout("descriptor"),
    "setrlimit": CoreLimitLayout(),
    "prlimit64": CoreLimitLayout(),
    "read": TokenLayout(takes=True),
    "write": TokenLayout(takes=False),
    "sched_getaffinity": AffinityLayout(sets=False),
    "sched_setaffinity": AffinityLayout(sets=True),
    "sched_setattr": AffinityLayout(sets=True),
    "sched_setscheduler": AffinityLayout(sets=True),
    "stat": LookLayout((CWD, 0)),
    "lstat": LookLayout((CWD, 0), fixed_flags=NOT_FOLLOWED),
    "newfstatat": LookLayout((0, 1), 3),
    "statx": LookLayout((0, 1), 2),
    "access": LookLayout((CWD, 0)),
    "faccessat": LookLayout((0, 1)),
    "faccessat2": LookLayout((0, 1), 3),
    "readlink": LookLayout((CWD, 0), fixed_flags=NOT_FOLLOWED, reads_link=True),
    "readlinkat": LookLayout((0, 1), fixed_flags=NOT_FOLLOWED, reads_link=True),
    "statfs": LookLayout((CWD, 0)),
    "chdir": LookLayout((CWD, 0)),
    "getxattr": LookLayout((CWD, 0)),
    "lgetxattr": LookLayout((CWD, 0), fixed_flags=NOT_FOLLOWED),
    "getxattrat": LookLayout((0, 1), 2),
    "listxattr": LookLayout((CWD, 0)),
    "llistxattr": LookLayout((CWD, 0), fixed_flags=NOT_FOLLOWED),
    "listxattrat": LookLayout((0, 1), 2),
    "file_getattr": LookLayout((0, 1), 4),
}
"""Every call that can stop for the recorder, except for those that the filter refuses anyway.

One more entry makes a call recorded: filter, recorder and tests go through `recorded` and `of`. A
call that is newer than python-ptrace also needs its number: `syscall_numbers`.
"""

CORE_LIMIT = "setrlimit(RLIMIT_CORE)"
"""The name of both calls where the limit was refused: libc makes the first by the second."""

MOST_TOKENS = 15
"""How many bytes a client moves at once: make and Rust 1, scripts/jobserver-exec of Linux 8."""


def recorded() -> tuple[str, ...]:
    """Return the calls that the recorder wants to see each time.

    Those that are conditional stop only with the arguments that `sandbox.seccomp` names.
    """
    return tuple(name for name, layout in CALLS.items() if not layout.is_conditional)


def looks() -> tuple[str, ...]:
    """Return the calls that stop where looks are recorded, or moved to folders of a script's own.

    See `tracer.recorder.look_calls` and `tracer.recorder.own_folders`.
    """
    return tuple(of(LookLayout))


def of(kind: type[_L]) -> dict[str, _L]:
    """Return the calls with layouts of one kind."""
    return {name: layout for name, layout in CALLS.items() if type(layout) is kind}
