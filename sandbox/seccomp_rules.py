"""The seccomp rules: which system calls stop for the recorder, and which are refused.

Calls without a rule are allowed, since build tools are diverse. There are four answers for the rest
(seccomp(2), "SECCOMP_SET_MODE_FILTER"):

- `SECCOMP_RET_TRACE` with data 0: the recorder looks at the call, and it goes on;
- `SECCOMP_RET_TRACE` with an errno: the recorder records that it was refused, and makes the call
  fail with that errno. Without a recorder the kernel answers ENOSYS, so it fails closed;
- the same marked `BROKERED`: the supervisor may make the call with copied arguments instead;
- `SECCOMP_RET_ERRNO` for what nobody needs to know.

What would blind the recorder is refused in the second way, too, and so recorded: the recorder reads
nothing for that (`tracer.recorder.loop`). A call that cannot be answered ends the tree.

A filter sees numbers only, never what a pointer points to, so nothing can change between the check
and the use.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass

from buildperm.tracer.syscall_table import (
    BROKERED,
    FOLDERS_HOW,
    FOLDERS_KEY,
    FOLDERS_MOST,
    FOLDERS_PAGE,
    HOW_SIZE,
    LIGHT_KEY,
    LISTED_LOOKS,
    LOOK_KEY,
    LOOK_KEY_AT,
    MOST_TOKENS,
    NAMING,
    WRITING_FLAGS,
    looks,
)
from buildperm.tracer.system_values import open_flags

# include/uapi/linux/seccomp.h.
RET_ERRNO = 0x00050000
RET_TRACE = 0x7FF00000
RET_ALLOW = 0x7FFF0000

ALLOW = RET_ALLOW
RECORD = RET_TRACE


def refused(number: int) -> int:
    """Return the answer that refuses with errno `number` and stops for the recorder."""
    return RET_TRACE | number


def brokered(number: int) -> int:
    """Return the answer that has the call brokered, or refuses it with errno `number`."""
    return RET_TRACE | BROKERED | number


def guarded(number: int) -> int:
    """Return the answer that refuses with errno `number` and is not recorded."""
    return RET_ERRNO | number


@dataclass(frozen=True, slots=True)
class ArgumentTest:
    """A test of 32 bits of one argument, mostly the low ones; of all 64 for a pointer."""

    argument: int  # 0 to 5.
    mask: int = 0xFFFFFFFF  # Applied before comparing.
    values: tuple[int, ...] = ()  # One of these; if empty, anything but 0.
    whole: bool = False  # The argument is a pointer: all 64 bits count.
    high: bool = False  # The high 32 bits are meant.


@dataclass(frozen=True, slots=True)
class FilterCase:
    """The answer to calls whose arguments pass all tests."""

    answer: int
    tests: tuple[ArgumentTest, ...] = ()


# clone(2); CLONE_NEWTIME shares its bit with the exit signal and is only for clone3 and unshare.
_CLONE_PTRACE, _CLONE_UNTRACED = 0x00002000, 0x00800000
_CLONE_NEW = (
    0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
)

# socket(2), address_families(7), unix(7), tcp(7).
_UNIX, _INET, _INET6 = 1, 2, 10
_STREAM, _SEQPACKET = 1, 5
_SOCKET_TYPE = 0xF  # Without SOCK_NONBLOCK and SOCK_CLOEXEC.
_TCP = 6
_MSG_FASTOPEN = 0x20000000  # Connects without connect(2), past Landlock's TCP rights.

# Options that take a connection elsewhere than to its address, or make it later: ip(7), ipv6(7),
# tcp(7). A route of the sender's choice puts another host's address into every packet's header.
_SOL_IP, _SOL_IPV6 = 0, 41
_IP_OPTIONS, _IP_TRANSPARENT = 4, 19
_IPV6_2292PKTOPTIONS, _IPV6_2292RTHDR, _IPV6_RTHDR, _IPV6_TRANSPARENT = 6, 5, 57, 75
_TCP_REPAIR, _TCP_FASTOPEN_CONNECT, _TCP_ULP = 19, 30, 31

# prctl(2). PR_SET_MM forges /proc/PID/exe and with it the process chains of the recording.
_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_MM, _PR_SET_PTRACER = 4, 22, 35, 0x59616D61
_SECCOMP_SET_MODE_STRICT, _SECCOMP_SET_MODE_FILTER = 0, 1

_TIOCSTI, _TIOCLINUX, _TIOCSETD = 0x5412, 0x541C, 0x5423  # ioctl_tty(2).

# fcntl(2): a lease keeps everybody else waiting who opens the file, by default for 45 seconds, and
# takes no right to write; the other tells what happens in a folder. F_SETDELEG (fcntl.h, Linux
# 6.19) is a lease on a folder.
_F_SETLEASE, _F_NOTIFY, _F_SETDELEG = 1024, 1026, 1040

# What ioctl(2) may do. A file system does whatever it likes there, past Landlock and on files that
# are only open for reading: btrfs makes, fills and removes folders (ioctl_btrfs(2)), others set
# attributes and keys, root freezes or shuts down all of it. netdevice(7) sets up the network. So
# it takes a name: all of ioctl_tty(2), where those that act on every file are as well (FIONBIO,
# FIOCLEX), what only tells something, and ioctl_ficlone(2), which needs a file open for writing.
_IOCTL_TYPE, _TTY = 0xFF00, ord("T") << 8
_FICLONE, _FICLONERANGE = 0x40049409, 0x4020940D
_FIGETBSZ, _FS_IOC_FIEMAP, _FS_IOC_GETFLAGS = 0x2, 0xC020660B, 0x80086601
_FS_IOC_GETVERSION, _FS_IOC_FSGETXATTR = 0x80087601, 0x801C581F
_FS_IOC_GETFSLABEL, _FS_IOC_GETFSUUID, _FS_IOC_GETFSSYSFSPATH = 0x81009431, 0x80111500, 0x80811501
_PIDFD_GET_INFO, _WITHOUT_SIZE = 0xFF0B, 0xFFFF  # Its structure grows.

# getpriority(2), ioprio_set(2): for 0 the first two mean the caller and its process group, which
# is the script's own; the users' processes are somebody else's.
_PRIO_USER, _IOPRIO_WHO_USER = 2, 3

# fcntl(2): makes the kernel send signals for the process, long after anybody has checked. A program
# that wants them for itself has poll(2). FIOSETOWN and SIOCSPGRP do the same by ioctl: see _SIOC.
_F_SETOWN, _F_SETOWN_EX = 8, 15

_RLIMIT_CORE = 4  # getrlimit(2)

# open(2), mknod(2): the ways to a setuid or setgid file that need no chmod.
_CREATING = os.O_CREAT | 0x400000  # __O_TMPFILE
_SETUID = stat.S_ISUID | stat.S_ISGID
_O_PATH = 0x200000
_LISTING = open_flags("O_DIRECTORY")

_PERM = refused(errno.EPERM)
_ABSENT = refused(errno.ENOSYS)
_DENIED = refused(errno.EACCES)
_OTHER_PROCESS = (FilterCase(_PERM, (ArgumentTest(0),)),)


_FEW_BYTES = (
    # By a descriptor from 3 on: a shell's `read` goes through standard input byte by byte.
    FilterCase(
        RECORD, (ArgumentTest(0, 0xFFFFFFFC), ArgumentTest(2, ~MOST_TOKENS & 0xFFFFFFFF, (0,)))
    ),
    FilterCase(
        RECORD, (ArgumentTest(0, values=(3,)), ArgumentTest(2, ~MOST_TOKENS & 0xFFFFFFFF, (0,)))
    ),
)


def _made_setuid(mode_at: int, flags_at: int = -1) -> tuple[FilterCase, ...]:
    """Refuse to make a file that is setuid or setgid from its birth."""
    mode = ArgumentTest(mode_at, _SETUID)
    return (
        FilterCase(_PERM, (mode,) if flags_at < 0 else (ArgumentTest(flags_at, _CREATING), mode)),
    )


REFUSED_ALWAYS: Mapping[int, tuple[str, ...]] = {
    # Bypasses argument checks and the recorder; libuv and fio fall back.
    # Newer calls that do what is closed otherwise: setting what ioctl(2) may not set, listing the
    # mounts that /proc does not show, and writing the labels that are not writable there.
    _ABSENT: (
        *("io_uring_setup", "io_uring_enter", "io_uring_register", "io_setup", "io_submit"),
        *("file_setattr", "listmount", "statmount", "lsm_set_self_attr"),
    ),
    _PERM: (
        # Other processes.
        *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp"),
        *("pidfd_getfd", "unshare", "setns"),
        # What the file system looks like.
        *("mount", "umount2", "open_tree", "open_tree_attr", "move_mount", "fsopen", "fsconfig"),
        *("fsmount", "fspick", "mount_setattr", "pivot_root", "chroot"),
        # Ways to a file past its path.
        *("open_by_handle_at", "name_to_handle_at"),
        # Kernel surface, and the session keyring, which can be read.
        *("bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key"),
        *("modify_ldt", "mbind", "move_pages", "migrate_pages", "memfd_secret"),
        *("fanotify_init", "fanotify_mark", "inotify_init", "inotify_init1"),
        # These talk to processes outside, and need no file.
        *("shmget", "shmat", "shmctl", "shmdt", "semget", "semop", "semctl", "semtimedop"),
        *("msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink", "mq_timedsend"),
        *("mq_timedreceive", "mq_notify", "mq_getsetattr"),
        # The machine.
        *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load"),
        *("reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "iopl", "ioperm"),
        *("syslog", "clock_settime", "clock_adjtime", "settimeofday", "adjtimex"),
        *("sethostname", "setdomainname", "vhangup"),
    ),
    _DENIED: ("bind", "listen"),
    brokered(errno.EACCES): (
        # Where hosts are granted, the supervisor connects: supervisor.brokered_connect.
        "connect",
        # Where the script may write, the supervisor changes these: metadata_guard.
        *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown", "fchownat"),
        *("utime", "utimes", "futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr"),
        *("setxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat"),
    ),
    # A filter cannot see the flags of clone3; glibc falls back to clone.
    guarded(errno.ENOSYS): ("clone3",),
}
"""Calls that are refused whatever their arguments, by answer."""

BY_ARGUMENTS: Mapping[str, tuple[FilterCase, ...]] = {
    "clone": (
        FilterCase(_PERM, (ArgumentTest(0, _CLONE_PTRACE | _CLONE_UNTRACED),)),
        FilterCase(_PERM, (ArgumentTest(0, _CLONE_NEW),)),
    ),
    # Every filter of the script's own. One with a listener could answer calls before they stop. Of
    # two filters that answer TRACE the newer one's data counts: a script could turn "refuse" into
    # "look and let pass" (kernel/seccomp.c, seccomp_run_filters).
    "seccomp": (
        FilterCase(
            _PERM, (ArgumentTest(0, values=(_SECCOMP_SET_MODE_STRICT, _SECCOMP_SET_MODE_FILTER)),)
        ),
    ),
    "prctl": (
        FilterCase(
            _PERM,
            (
                ArgumentTest(
                    0, values=(_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_MM, _PR_SET_PTRACER)
                ),
            ),
        ),
    ),
    # TCP and unix stream sockets may be made, so that the address they are meant for can be seen
    # in connect, which is refused.
    "socket": (
        FilterCase(
            RECORD,
            (
                ArgumentTest(0, values=(_UNIX,)),
                ArgumentTest(1, _SOCKET_TYPE, (_STREAM, _SEQPACKET)),
            ),
        ),
        FilterCase(
            RECORD,
            (
                ArgumentTest(0, values=(_INET, _INET6)),
                ArgumentTest(1, _SOCKET_TYPE, (_STREAM,)),
                ArgumentTest(2, values=(0, _TCP)),
            ),
        ),
        FilterCase(_DENIED, (ArgumentTest(0, values=(_UNIX, _INET, _INET6)),)),
        FilterCase(refused(errno.EAFNOSUPPORT)),
    ),
    # A datagram socket can send to anybody with sendmsg, whose address a filter cannot see. Other
    # families than unix have no pairs, or are not for build scripts either: TIPC.
    "socketpair": (
        FilterCase(
            ALLOW,
            (
                ArgumentTest(0, values=(_UNIX,)),
                ArgumentTest(1, _SOCKET_TYPE, (_STREAM, _SEQPACKET)),
            ),
        ),
        FilterCase(_DENIED),
    ),
    "sendto": (
        FilterCase(_DENIED, (ArgumentTest(4, whole=True),)),
        FilterCase(_DENIED, (ArgumentTest(3, _MSG_FASTOPEN),)),
        FilterCase(ALLOW),
    ),
    "setsockopt": (
        FilterCase(
            _PERM,
            (
                ArgumentTest(1, values=(_SOL_IP,)),
                ArgumentTest(2, values=(_IP_OPTIONS, _IP_TRANSPARENT)),
            ),
        ),
        FilterCase(
            _PERM,
            (
                ArgumentTest(1, values=(_SOL_IPV6,)),
                ArgumentTest(2, values=(_IPV6_2292PKTOPTIONS, _IPV6_2292RTHDR)),
            ),
        ),
        FilterCase(
            _PERM,
            (
                ArgumentTest(1, values=(_SOL_IPV6,)),
                ArgumentTest(2, values=(_IPV6_RTHDR, _IPV6_TRANSPARENT)),
            ),
        ),
        FilterCase(
            _PERM,
            (
                ArgumentTest(1, values=(_TCP,)),
                ArgumentTest(2, values=(_TCP_REPAIR, _TCP_FASTOPEN_CONNECT, _TCP_ULP)),
            ),
        ),
    ),
    "open": _made_setuid(2, flags_at=1),
    "creat": _made_setuid(1),
    "openat": _made_setuid(3, flags_at=2),
    "mknod": _made_setuid(1),
    "mknodat": _made_setuid(2),
    "sendmsg": (FilterCase(_DENIED, (ArgumentTest(2, _MSG_FASTOPEN),)),),
    "sendmmsg": (FilterCase(_DENIED, (ArgumentTest(3, _MSG_FASTOPEN),)),),
    "ioctl": (
        FilterCase(_PERM, (ArgumentTest(1, values=(_TIOCSTI, _TIOCLINUX, _TIOCSETD)),)),
        FilterCase(ALLOW, (ArgumentTest(1, _IOCTL_TYPE, (_TTY,)),)),
        FilterCase(ALLOW, (ArgumentTest(1, values=(_FICLONE, _FICLONERANGE)),)),
        FilterCase(ALLOW, (ArgumentTest(1, values=(_FIGETBSZ, _FS_IOC_FIEMAP, _FS_IOC_GETFLAGS)),)),
        FilterCase(ALLOW, (ArgumentTest(1, values=(_FS_IOC_GETVERSION, _FS_IOC_FSGETXATTR)),)),
        FilterCase(ALLOW, (ArgumentTest(1, values=(_FS_IOC_GETFSLABEL, _FS_IOC_GETFSUUID)),)),
        FilterCase(ALLOW, (ArgumentTest(1, values=(_FS_IOC_GETFSSYSFSPATH,)),)),
        FilterCase(ALLOW, (ArgumentTest(1, _WITHOUT_SIZE, (_PIDFD_GET_INFO,)),)),
        FilterCase(_PERM),
    ),
    # A signal to one's own process group is nobody else's affair: the session is the script's own.
    # To everybody (-1) kill(2) says "done" even if it may signal nobody; in a PID namespace that is
    # the script's own affair again, and what its first process group is called: see killpg(3).
    "kill": (
        FilterCase(brokered(errno.EPERM), (ArgumentTest(0, values=(0xFFFFFFFF,)),)),
        FilterCase(RECORD, (ArgumentTest(0),)),
        FilterCase(ALLOW),
    ),
    "fcntl": (
        FilterCase(_PERM, (ArgumentTest(1, values=(_F_SETLEASE, _F_NOTIFY, _F_SETDELEG)),)),
        FilterCase(_PERM, (ArgumentTest(1, values=(_F_SETOWN, _F_SETOWN_EX)),)),
    ),
    # The script cannot raise what was lowered before; the recording tells who has tried.
    "setrlimit": (FilterCase(RECORD, (ArgumentTest(0, values=(_RLIMIT_CORE,)),)),),
    "prlimit64": (
        *_OTHER_PROCESS,
        FilterCase(RECORD, (ArgumentTest(1, values=(_RLIMIT_CORE,)), ArgumentTest(2, whole=True))),
    ),
    # Tokens of a job server: see `tracer.recorder.jobserver_tokens`.
    "read": _FEW_BYTES,
    "write": _FEW_BYTES,
    "sched_setaffinity": _OTHER_PROCESS,
    "sched_setattr": _OTHER_PROCESS,
    "sched_setparam": _OTHER_PROCESS,
    "sched_setscheduler": _OTHER_PROCESS,
    "setpriority": (
        FilterCase(_PERM, (ArgumentTest(0, values=(_PRIO_USER,)),)),
        FilterCase(_PERM, (ArgumentTest(1),)),
    ),
    "ioprio_set": (
        FilterCase(_PERM, (ArgumentTest(0, values=(_IOPRIO_WHO_USER,)),)),
        FilterCase(_PERM, (ArgumentTest(1),)),
    ),
}
"""Calls that are refused by their arguments: the first case that fits, else as if unnamed."""

_AT_EMPTY_PATH = 0x1000  # fstatat(2): about the descriptor, as fstat(3) of libc asks.

_WITH_KEY = FilterCase(
    ALLOW,
    (
        ArgumentTest(LOOK_KEY_AT, values=(LOOK_KEY & 0xFFFFFFFF,)),
        ArgumentTest(LOOK_KEY_AT, values=(LOOK_KEY >> 32,), high=True),
    ),
)

_KEPT_SECRET = (
    ArgumentTest(LOOK_KEY_AT, values=(LIGHT_KEY & 0xFFFFFFFF,)),
    ArgumentTest(LOOK_KEY_AT, values=(LIGHT_KEY >> 32,), high=True),
)

LOOKS: Mapping[str, tuple[FilterCase, ...]] = {
    **{name: (_WITH_KEY, FilterCase(RECORD)) for name in looks()},
    "getxattrat": (FilterCase(RECORD),),  # Its size is where the key would be.
    **{
        name: (
            FilterCase(ALLOW, (ArgumentTest(flags, _AT_EMPTY_PATH),)),
            _WITH_KEY,
            FilterCase(RECORD),
        )
        for name, flags in (("newfstatat", 3), ("statx", 2), ("faccessat2", 3))
    },
}
"""What stops where looks are recorded, or moved: `tracer.recorder.look_calls`, `own_folders`."""

EVERY_LOOK: Mapping[str, tuple[FilterCase, ...]] = {
    **{name: (FilterCase(RECORD),) for name in (*looks(), NAMING)},
    # Only without a path it is about the descriptor for sure: statx(2), since Linux 6.11.
    **{
        name: (
            FilterCase(
                ALLOW,
                (
                    ArgumentTest(flags, _AT_EMPTY_PATH),
                    ArgumentTest(1, values=(0,)),
                    ArgumentTest(1, values=(0,), high=True),
                ),
            ),
            FilterCase(RECORD),
        )
        for name, flags in (("newfstatat", 3), ("statx", 2))
    },
}
"""What stops instead where nothing may go unseen: `tracer.recorder.asked_paths`.

With `AT_EMPTY_PATH` a path may be there all the same, and the key is no secret.
"""

# Whatever begins below the end of the folders' page: there is nothing else that low. The kernel
# takes bits 57 to 62 for none of an address where a processor lets them be a tag (LAM_U57).
_UNTAGGED = ~(0x3F << 57 - 32) & 0xFFFFFFFF
_ON_PAGE = (
    ArgumentTest(0, _UNTAGGED, (0,), high=True),
    ArgumentTest(0, ~(2 * FOLDERS_PAGE - 1) & 0xFFFFFFFF, (0,)),
)
_PAGE_KEPT = guarded(errno.EPERM)
_MAP_FIXED, _MAP_FIXED_NOREPLACE, _MREMAP_FIXED = 0x10, 0x100000, 2  # mmap(2), mremap(2)
_OF_FOLDERS = ArgumentTest(0, ~(FOLDERS_MOST - 1) & 0xFFFFFFFF, (FOLDERS_KEY,))
_F_SETFD, _FIONCLEX = 2, 0x5450  # fcntl(2), ioctl_tty(2)

LIGHT: Mapping[str, tuple[FilterCase, ...]] = {
    "openat": (
        FilterCase(
            ALLOW,
            (
                ArgumentTest(2, WRITING_FLAGS, (0,)),
                *_KEPT_SECRET,
            ),
        ),
    ),
    "openat2": (
        FilterCase(
            ALLOW,
            (
                _OF_FOLDERS,
                ArgumentTest(2, values=FOLDERS_HOW),
                ArgumentTest(2, values=(0,), high=True),
                ArgumentTest(3, values=(HOW_SIZE,)),
                ArgumentTest(3, values=(0,), high=True),
            ),
        ),
    ),
    # No descriptor of a folder outlives an execution, since the page does not.
    "fcntl": (FilterCase(_PAGE_KEPT, (_OF_FOLDERS, ArgumentTest(1, values=(_F_SETFD,)))),),
    "ioctl": (FilterCase(_PAGE_KEPT, (_OF_FOLDERS, ArgumentTest(1, values=(_FIONCLEX,)))),),
    # The page stays as it is. An address of 0 is mostly none at all.
    "mmap": (
        FilterCase(
            ALLOW,
            (
                ArgumentTest(0, values=(0,)),
                ArgumentTest(0, values=(0,), high=True),
                ArgumentTest(3, _MAP_FIXED | _MAP_FIXED_NOREPLACE, (0,)),
            ),
        ),
        FilterCase(_PERM, _ON_PAGE),
    ),
    **{
        name: (FilterCase(_PAGE_KEPT, _ON_PAGE),)
        for name in ("munmap", "mprotect", "pkey_mprotect", "remap_file_pages")
    },
    "madvise": (FilterCase(_PAGE_KEPT, (*_ON_PAGE, ArgumentTest(1, whole=True))),),
    "mremap": (
        FilterCase(_PAGE_KEPT, _ON_PAGE),
        FilterCase(
            _PAGE_KEPT,
            (
                ArgumentTest(3, _MREMAP_FIXED),
                ArgumentTest(4, _UNTAGGED, (0,), high=True),
                ArgumentTest(4, _ON_PAGE[1].mask, (0,)),
            ),
        ),
    ),
    # Where a relative path leads afterwards, the recorder has to know.
    **dict.fromkeys(("chdir", "fchdir"), (FilterCase(brokered(errno.EACCES)),)),
}
"""What comes before all other cases under light observation.

`openat` has four arguments, so the kernel does not look at a sixth: `tracer.recorder.light_opens`.
The others are for `tracer.recorder.folder_reads`. Landlock decides as ever.
"""

_CLONE_FS, _CLONE_THREAD = 0x200, 0x10000  # clone(2)

LISTED: Mapping[str, tuple[FilterCase, ...]] = {
    "openat": (
        FilterCase(
            ALLOW,
            (ArgumentTest(2, WRITING_FLAGS | _LISTING | _O_PATH, (0,)), *_KEPT_SECRET),
        ),
    ),
    **{name: (FilterCase(ALLOW, _KEPT_SECRET),) for name in LISTED_LOOKS},
    **dict.fromkeys(("chdir", "fchdir"), (FilterCase(brokered(errno.EACCES)),)),
}
"""What comes first where tools list what they ask for: `tracer.recorder.listed_opens`.

The key is one that nobody knows: what passes with it has to be in a list.
"""

LISTED_AFTERWARDS: Mapping[str, tuple[FilterCase, ...]] = {
    "clone": (FilterCase(RECORD, (ArgumentTest(0, _CLONE_FS | _CLONE_THREAD, (_CLONE_FS,)),)),),
}
"""What comes right before the last case there: another process moves with this one."""
