"""The system calls that are recorded, where their arguments are, and their numbers.

A layout says which argument (counted from 0) holds what. A path is a pair: the argument with the
descriptor it may be relative to (`CWD` where the call has none), and the argument with the path.

Part of the supervisor but for `table`, which asks python-ptrace and is called before it starts.
"""

from __future__ import annotations

import os

CWD = -1
"""In the place of a descriptor argument: relative paths start from the working directory."""

BROKERED = 0x8000
"""In the data that the filter gives with a stop: the call may be made by the supervisor instead.

It is made on arguments that were copied, so that nothing can change between check and use. The rest
of the data is the errno with which the call fails where nobody makes it.
"""

FOREIGN = 0x4000
"""In the same data: the number belongs to another architecture, and means nothing here."""

NONE = -1
"""In the place of any other argument: the call has no such argument."""

OPENS: dict[str, tuple[int, int, int]] = {
    # By name: descriptor, path, flags.
    "open": (CWD, 0, 1),
    "creat": (CWD, 0, NONE),
    "openat": (0, 1, 2),
    "openat2": (0, 1, 2),  # flags behind a pointer: struct open_how, openat2(2)
}

CHANGES: dict[str, tuple[str, tuple[int, int], tuple[int, int]]] = {
    # By name: change (see tracer.recording.event.Change), path that is changed, other path.
    "unlink": ("removed", (CWD, 0), (NONE, NONE)),
    "unlinkat": ("removed", (0, 1), (NONE, NONE)),
    "rmdir": ("removed", (CWD, 0), (NONE, NONE)),
    "rename": ("renamed", (CWD, 1), (CWD, 0)),
    "renameat": ("renamed", (2, 3), (0, 1)),
    "renameat2": ("renamed", (2, 3), (0, 1)),
    "link": ("linked", (CWD, 1), (CWD, 0)),
    "linkat": ("linked", (2, 3), (0, 1)),
    "symlink": ("symlinked", (CWD, 1), (NONE, 0)),  # the other one is a text
    "symlinkat": ("symlinked", (1, 2), (NONE, 0)),
    "mkdir": ("directory-made", (CWD, 0), (NONE, NONE)),
    "mkdirat": ("directory-made", (0, 1), (NONE, NONE)),
    "mknod": ("node-made", (CWD, 0), (NONE, NONE)),
    "mknodat": ("node-made", (0, 1), (NONE, NONE)),
    "truncate": ("truncated", (CWD, 0), (NONE, NONE)),
    "chmod": ("mode-changed", (CWD, 0), (NONE, NONE)),
    "fchmodat": ("mode-changed", (0, 1), (NONE, NONE)),
    "fchmodat2": ("mode-changed", (0, 1), (NONE, NONE)),
    "fchmod": ("mode-changed", (0, NONE), (NONE, NONE)),
    "chown": ("owner-changed", (CWD, 0), (NONE, NONE)),
    "lchown": ("owner-changed", (CWD, 0), (NONE, NONE)),
    "fchownat": ("owner-changed", (0, 1), (NONE, NONE)),
    "fchown": ("owner-changed", (0, NONE), (NONE, NONE)),
    "utime": ("times-changed", (CWD, 0), (NONE, NONE)),
    "utimes": ("times-changed", (CWD, 0), (NONE, NONE)),
    "futimesat": ("times-changed", (0, 1), (NONE, NONE)),
    "utimensat": ("times-changed", (0, 1), (NONE, NONE)),
    "setxattr": ("attribute-changed", (CWD, 0), (NONE, NONE)),
    "lsetxattr": ("attribute-changed", (CWD, 0), (NONE, NONE)),
    "fsetxattr": ("attribute-changed", (0, NONE), (NONE, NONE)),
    "setxattrat": ("attribute-changed", (0, 1), (NONE, NONE)),
    "removexattr": ("attribute-changed", (CWD, 0), (NONE, NONE)),
    "lremovexattr": ("attribute-changed", (CWD, 0), (NONE, NONE)),
    "fremovexattr": ("attribute-changed", (0, NONE), (NONE, NONE)),
    "removexattrat": ("attribute-changed", (0, 1), (NONE, NONE)),
    "file_setattr": ("attribute-changed", (0, 1), (NONE, NONE)),
}

FOLLOWING = frozenset(
    {"truncate", "chmod", "fchmodat", "chown", "utime", "utimes", "futimesat"}
    | {"setxattr", "removexattr"}
)
"""Changes that go through a last link whatever their flags say."""

FLAGS: dict[str, int] = {
    # Changes with AT_* flags, and where: AT_SYMLINK_NOFOLLOW decides about a last link.
    "fchmodat2": 3,
    "fchownat": 4,
    "utimensat": 3,
    "setxattrat": 2,
    "removexattrat": 2,
    "file_setattr": 4,
}

EXECUTIONS: dict[str, tuple[int, int, int]] = {
    # By name: descriptor, path, argv.
    "execve": (CWD, 0, 1),
    "execveat": (0, 1, 2),
}

SOCKETS: dict[str, tuple[str, int, int]] = {
    # By name: use (see tracer.recording.event.SocketUse), address, its length.
    "socket": ("created", NONE, NONE),
    "connect": ("connected", 1, 2),
    "bind": ("bound", 1, 2),
    "sendto": ("sent", 4, 5),
    "sendmsg": ("sent", 1, NONE),  # inside struct msghdr: recvmsg(2)
    "sendmmsg": ("sent", 1, NONE),
}

SIGNALS: dict[str, str] = {
    # By name: what its first argument is.
    "kill": "process",
    "rt_sigqueueinfo": "process",
    "tgkill": "process",
    "rt_tgsigqueueinfo": "process",
    "tkill": "thread",
    "pidfd_open": "process",  # Signals nobody yet; where the process cannot be seen it ends here.
    "pidfd_send_signal": "descriptor",
}

CORE_LIMITS = ("setrlimit", "prlimit64")
"""Calls that stop where they set the limit of core dumps."""

CORE_LIMIT = "setrlimit(RLIMIT_CORE)"
"""What both are called where that was refused: libc makes the first by the second."""

TOKENS = ("read", "write")
"""Calls that stop where they move a few bytes, as whoever takes part in a job server does."""

MOST_TOKENS = 15
"""As many bytes at once; make and Rust move one, scripts/jobserver-exec of Linux eight."""

ASKS_AFFINITY = "sched_getaffinity"
SETS_AFFINITY = ("sched_setaffinity", "sched_setattr", "sched_setscheduler")
"""Calls that stop for the sake of `tracer.recorder.cpu_affinity`, and are not recorded."""

RECORDED: tuple[str, ...] = (
    *OPENS,
    *CHANGES,
    *EXECUTIONS,
    *SIGNALS,
    "socket",
    "connect",
    "bind",
    "sendto",
    ASKS_AFFINITY,
    *SETS_AFFINITY,
)
"""The calls that the recorder wants to see; sendto only with an address."""

SUPPLEMENT: dict[str, int] = {
    # Since Linux 5.0 a new call has the same number everywhere (x86-64 and aarch64 included):
    # Linux, scripts/syscall.tbl. python-ptrace 0.9.9 ends in Linux 5.8.
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
    "process_madvise": 440,
    "epoll_pwait2": 441,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
    "process_mrelease": 448,
    "futex_waitv": 449,
    "set_mempolicy_home_node": 450,
    "cachestat": 451,
    "fchmodat2": 452,
    "map_shadow_stack": 453,
    "futex_wake": 454,
    "futex_wait": 455,
    "futex_requeue": 456,
    "statmount": 457,
    "listmount": 458,
    "lsm_get_self_attr": 459,
    "lsm_set_self_attr": 460,
    "lsm_list_modules": 461,
    "mseal": 462,
    "setxattrat": 463,
    "getxattrat": 464,
    "listxattrat": 465,
    "removexattrat": 466,
    "open_tree_attr": 467,
    "file_getattr": 468,
    "file_setattr": 469,
}

MACHINES = ("x86_64", "aarch64")

_X32 = 512  # From here to 547 the table of x86-64 holds the calls of the x32 ABI.


def table(machine: str = "") -> dict[str, int]:
    """Return the number of every call by name.

    Args:
        machine: As `uname -m` says; empty for this machine.

    Raises:
        ValueError: There is no table for `machine`.
    """
    machine = machine or os.uname().machine
    if machine == "x86_64":
        from ptrace.syscall.linux.x86_64 import SYSCALL_NAMES
    elif machine == "aarch64":
        from ptrace.syscall.linux.aarch64 import SYSCALL_NAMES
    else:
        raise ValueError(f"no system call table for `{machine}`, only for {', '.join(MACHINES)}")
    known = {name: number for number, name in SYSCALL_NAMES.items() if number < _X32}
    return SUPPLEMENT | known
