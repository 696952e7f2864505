"""Builds the seccomp filter: which system calls stop for the recorder, and which are refused.

One filter does both. It allows what it does not name, since build tools are diverse, and has four
answers for the rest (seccomp(2), "SECCOMP_SET_MODE_FILTER"):

- `SECCOMP_RET_TRACE` with data 0: the recorder looks at the call, and it goes on;
- `SECCOMP_RET_TRACE` with an errno: the recorder writes down that it was refused, and makes the
  call fail with that errno. Without a recorder the kernel answers ENOSYS, so it fails closed;
- the same marked `BROKERED`: the supervisor may make the call on copied arguments instead;
- `SECCOMP_RET_ERRNO` for what is not worth a word.

What would blind the recorder is refused in the second way as well, so that it is told: the recorder
reads nothing to do so (`tracer.recorder.loop`). A call whose answer cannot be put ends the tree.

Calls newer than this module do not exist for a script: nobody has thought about them yet, and the
likes of setxattrat and file_setattr went past the guard of attributes until they were named.

A filter can look at numbers only, never at what a pointer points to, so nothing can change between
the check and the use.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from buildperm.errors import CannotEnforceError
from buildperm.tracer.syscall_table import BROKERED, FOREIGN, MOST_TOKENS

# include/uapi/linux/audit.h and asm/unistd.h.
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000  # __X32_SYSCALL_BIT: x32 calls have the x86-64 architecture value.

NEWEST = 469
"""The number of the newest call that is known here, on every architecture: file_setattr."""

# include/uapi/linux/seccomp.h.
_RET_ERRNO = 0x00050000
_RET_TRACE = 0x7FF00000
_RET_ALLOW = 0x7FFF0000

# bpf_common.h: class, size, mode, operation. `struct seccomp_data` is read as 32-bit words.
_LOAD, _RETURN, _AND, _JUMP = 0x20, 0x06, 0x54, 0x05
_EQUAL, _AT_LEAST, _ANY_BIT = 0x15, 0x35, 0x45
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_FURTHEST = 255  # A conditional jump has 8 bits for its distance.

ALLOW = _RET_ALLOW
RECORD = _RET_TRACE


def refused(number: int) -> int:
    """Return the answer that refuses with errno `number` and tells the recorder."""
    return _RET_TRACE | number


def brokered(number: int) -> int:
    """Return the answer that has the supervisor make the call, or refuses with errno `number`."""
    return _RET_TRACE | BROKERED | number


def guarded(number: int) -> int:
    """Return the answer that refuses with errno `number` and tells nobody."""
    return _RET_ERRNO | number


@dataclass(frozen=True, slots=True)
class Test:
    """What the low 32 bits of one argument have to be like; also the high ones for `nonzero`."""

    argument: int  # 0 to 5.
    mask: int = 0xFFFFFFFF  # Applied before comparing.
    values: tuple[int, ...] = ()  # One of these; if empty, anything but 0.
    whole: bool = False  # The argument is a pointer: all 64 bits count.


@dataclass(frozen=True, slots=True)
class Case:
    """An answer for the calls whose arguments pass all tests."""

    answer: int
    tests: tuple[Test, ...] = ()


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

# fcntl(2): have the kernel send signals in one's place, long after anybody has looked; a program
# that wants them itself has poll(2). FIOSETOWN and SIOCSPGRP do the same by ioctl: see _SIOC.
_F_SETOWN, _F_SETOWN_EX = 8, 15

_RLIMIT_CORE = 4  # getrlimit(2)

# open(2), mknod(2): the ways to a setuid or setgid file that need no chmod.
_CREATING = os.O_CREAT | 0x400000  # __O_TMPFILE
_SETUID = stat.S_ISUID | stat.S_ISGID

_PERM = refused(errno.EPERM)
_ABSENT = refused(errno.ENOSYS)
_DENIED = refused(errno.EACCES)
_OTHER_PROCESS = (Case(_PERM, (Test(0),)),)


_FEW_BYTES = (
    # By a descriptor from 3 on: a shell's `read` goes through standard input byte by byte.
    Case(RECORD, (Test(0, 0xFFFFFFFC), Test(2, ~MOST_TOKENS & 0xFFFFFFFF, (0,)))),
    Case(RECORD, (Test(0, values=(3,)), Test(2, ~MOST_TOKENS & 0xFFFFFFFF, (0,)))),
)


def _made_setuid(mode_at: int, flags_at: int = -1) -> tuple[Case, ...]:
    """Refuse to make a file that is setuid or setgid from its birth."""
    mode = Test(mode_at, _SETUID)
    return (Case(_PERM, (mode,) if flags_at < 0 else (Test(flags_at, _CREATING), mode)),)


REFUSED_ALWAYS: Mapping[int, tuple[str, ...]] = {
    # Bypasses argument checks and the recorder; libuv and fio fall back.
    # What ioctl may not set is not set by a newer call, and what is not readable in /proc is not
    # told by one: mounts. Nor is what is not writable there written: labels.
    _ABSENT: (
        *("io_uring_setup", "io_uring_enter", "io_uring_register"),
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
        # Talks to processes outside; needs no file.
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
        # Where hosts are granted the supervisor connects, see supervisor.brokered_connect.
        "connect",
        # Within what the script may write the supervisor changes these: metadata_guard.
        *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown", "fchownat"),
        *("utime", "utimes", "futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr"),
        *("setxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat"),
    ),
    # A filter cannot see the flags of clone3; glibc falls back to clone. Not worth a word.
    guarded(errno.ENOSYS): ("clone3",),
}
"""Calls that are refused whatever their arguments, by answer."""

BY_ARGUMENTS: Mapping[str, tuple[Case, ...]] = {
    "clone": (
        Case(_PERM, (Test(0, _CLONE_PTRACE | _CLONE_UNTRACED),)),
        Case(_PERM, (Test(0, _CLONE_NEW),)),
    ),
    # Every filter of the script's own: one with a listener could answer calls before they stop,
    # and of two filters that answer TRACE the newer one's data counts, so that a script could turn
    # "refuse" into "look and let pass" (kernel/seccomp.c, seccomp_run_filters).
    "seccomp": (
        Case(_PERM, (Test(0, values=(_SECCOMP_SET_MODE_STRICT, _SECCOMP_SET_MODE_FILTER)),)),
    ),
    "prctl": (
        Case(
            _PERM,
            (Test(0, values=(_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_MM, _PR_SET_PTRACER)),),
        ),
    ),
    # TCP and unix stream sockets may be made, so that the address they are meant for can be seen
    # in connect, which is refused.
    "socket": (
        Case(
            RECORD,
            (Test(0, values=(_UNIX,)), Test(1, _SOCKET_TYPE, (_STREAM, _SEQPACKET))),
        ),
        Case(
            RECORD,
            (
                Test(0, values=(_INET, _INET6)),
                Test(1, _SOCKET_TYPE, (_STREAM,)),
                Test(2, values=(0, _TCP)),
            ),
        ),
        Case(_DENIED, (Test(0, values=(_UNIX, _INET, _INET6)),)),
        Case(refused(errno.EAFNOSUPPORT)),
    ),
    # A datagram socket can send to anybody with sendmsg, whose address a filter cannot see. Other
    # families than unix have no pairs, or are not for build scripts either: TIPC.
    "socketpair": (
        Case(ALLOW, (Test(0, values=(_UNIX,)), Test(1, _SOCKET_TYPE, (_STREAM, _SEQPACKET)))),
        Case(_DENIED),
    ),
    "sendto": (
        Case(_DENIED, (Test(4, whole=True),)),
        Case(_DENIED, (Test(3, _MSG_FASTOPEN),)),
        Case(ALLOW),
    ),
    "setsockopt": (
        Case(_PERM, (Test(1, values=(_SOL_IP,)), Test(2, values=(_IP_OPTIONS, _IP_TRANSPARENT)))),
        Case(
            _PERM,
            (
                Test(1, values=(_SOL_IPV6,)),
                Test(2, values=(_IPV6_2292PKTOPTIONS, _IPV6_2292RTHDR)),
            ),
        ),
        Case(
            _PERM,
            (Test(1, values=(_SOL_IPV6,)), Test(2, values=(_IPV6_RTHDR, _IPV6_TRANSPARENT))),
        ),
        Case(
            _PERM,
            (
                Test(1, values=(_TCP,)),
                Test(2, values=(_TCP_REPAIR, _TCP_FASTOPEN_CONNECT, _TCP_ULP)),
            ),
        ),
    ),
    "open": _made_setuid(2, flags_at=1),
    "creat": _made_setuid(1),
    "openat": _made_setuid(3, flags_at=2),
    "mknod": _made_setuid(1),
    "mknodat": _made_setuid(2),
    "sendmsg": (Case(_DENIED, (Test(2, _MSG_FASTOPEN),)),),
    "sendmmsg": (Case(_DENIED, (Test(3, _MSG_FASTOPEN),)),),
    "ioctl": (
        Case(_PERM, (Test(1, values=(_TIOCSTI, _TIOCLINUX, _TIOCSETD)),)),
        Case(ALLOW, (Test(1, _IOCTL_TYPE, (_TTY,)),)),
        Case(ALLOW, (Test(1, values=(_FICLONE, _FICLONERANGE)),)),
        Case(ALLOW, (Test(1, values=(_FIGETBSZ, _FS_IOC_FIEMAP, _FS_IOC_GETFLAGS)),)),
        Case(ALLOW, (Test(1, values=(_FS_IOC_GETVERSION, _FS_IOC_FSGETXATTR)),)),
        Case(ALLOW, (Test(1, values=(_FS_IOC_GETFSLABEL, _FS_IOC_GETFSUUID)),)),
        Case(ALLOW, (Test(1, values=(_FS_IOC_GETFSSYSFSPATH,)),)),
        Case(ALLOW, (Test(1, _WITHOUT_SIZE, (_PIDFD_GET_INFO,)),)),
        Case(_PERM),
    ),
    # A signal to one's own process group is nobody else's affair: the session is the script's own.
    # To everybody (-1) kill(2) says "done" even if it may signal nobody; in a PID namespace that is
    # the script's own affair again, and what its first process group is called: see killpg(3).
    "kill": (
        Case(brokered(errno.EPERM), (Test(0, values=(0xFFFFFFFF,)),)),
        Case(RECORD, (Test(0),)),
        Case(ALLOW),
    ),
    "fcntl": (
        Case(_PERM, (Test(1, values=(_F_SETLEASE, _F_NOTIFY, _F_SETDELEG)),)),
        Case(_PERM, (Test(1, values=(_F_SETOWN, _F_SETOWN_EX)),)),
    ),
    # What was lowered before the script began cannot be raised by it; to be told who has tried.
    "setrlimit": (Case(RECORD, (Test(0, values=(_RLIMIT_CORE,)),)),),
    "prlimit64": (
        *_OTHER_PROCESS,
        Case(RECORD, (Test(1, values=(_RLIMIT_CORE,)), Test(2, whole=True))),
    ),
    # Tokens of a job server: see `tracer.recorder.jobserver_tokens`.
    "read": _FEW_BYTES,
    "write": _FEW_BYTES,
    "sched_setaffinity": _OTHER_PROCESS,
    "sched_setattr": _OTHER_PROCESS,
    "sched_setparam": _OTHER_PROCESS,
    "sched_setscheduler": _OTHER_PROCESS,
    "setpriority": (Case(_PERM, (Test(0, values=(_PRIO_USER,)),)), Case(_PERM, (Test(1),))),
    "ioprio_set": (Case(_PERM, (Test(0, values=(_IOPRIO_WHO_USER,)),)), Case(_PERM, (Test(1),))),
}
"""Calls that are refused by their arguments: the first case that fits, else as if not named."""


def build(arch: str, numbers: Mapping[str, int], recorded: Collection[str]) -> bytes:
    """Assemble the filter: `struct sock_filter` after `struct sock_filter`.

    Args:
        arch: As uname(2) calls it.
        numbers: System call numbers of `arch` by name; a name that it lacks needs no rule.
        recorded: Names of the calls that the recorder wants to see.

    Raises:
        CannotEnforceError: There is no filter for `arch`.
    """
    if arch not in AUDIT_ARCH:
        raise CannotEnforceError(
            f"no system call filter for processors of type `{arch}`",
            hint="Build on x86-64 or aarch64.",
        )
    # Calls of another architecture have other numbers: x86 programs on x86-64 by `int 0x80`. On
    # aarch64 their registers have another layout, which the recorder does not know.
    answer = refused(errno.ENOSYS) | FOREIGN if arch == "x86_64" else guarded(errno.ENOSYS)
    foreign = _instruction(_RETURN, answer)
    program = [
        _instruction(_LOAD, _ARCH_AT),
        _instruction(_EQUAL, AUDIT_ARCH[arch], 1, 0),
        foreign,
        _instruction(_LOAD, _NUMBER_AT),
    ]
    if arch == "x86_64":
        program += [_instruction(_AT_LEAST, _X32, 0, 1), foreign]
    unknown = _instruction(_RETURN, guarded(errno.ENOSYS))
    program += [_instruction(_AT_LEAST, NEWEST + 1, 0, 1), unknown]
    by_answer: dict[bytes, list[int]] = {}
    for name, cases in _cases(recorded).items():
        if name in numbers:
            by_answer.setdefault(b"".join(_body(cases)), []).append(numbers[name])
    for body, members in by_answer.items():
        program += _section(sorted(members), body)
    program.append(_instruction(_RETURN, ALLOW))
    return b"".join(program)


def stopping(numbers: Mapping[str, int], recorded: Collection[str]) -> dict[int, str]:
    """Name the calls that stop for the recorder at least sometimes, by their numbers."""
    return {
        numbers[name]: name
        for name, cases in _cases(recorded).items()
        if name in numbers and any(case.answer & 0xFFFF0000 == _RET_TRACE for case in cases)
    }


def _cases(recorded: Collection[str]) -> dict[str, tuple[Case, ...]]:
    """List every call that has a rule; each list of cases ends with one that needs nothing."""
    cases: dict[str, tuple[Case, ...]] = {}
    for answer, names in REFUSED_ALWAYS.items():
        cases |= dict.fromkeys(names, (Case(answer),))
    for name, some in BY_ARGUMENTS.items():
        cases[name] = (*some, Case(RECORD if name in recorded else ALLOW))
    return dict.fromkeys(set(recorded) - cases.keys(), (Case(RECORD),)) | cases


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """Make one `struct sock_filter`."""
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _section(members: list[int], body: bytes) -> list[bytes]:
    """Run `body` for the call numbers `members`, else go on behind it; the number is loaded.

    Every comparison jumps at most one instruction far: the last word on each is an unconditional
    jump, which has 32 bits for its distance, where it does not fall through.
    """
    if len(members) == 1 and len(body) // 8 <= _FURTHEST:
        return [_instruction(_EQUAL, members[0], 0, len(body) // 8), body]
    program: list[bytes] = []
    for index, number in enumerate(members):
        ahead = 2 * (len(members) - index - 1) + 1  # Past the other pairs and the jump over.
        program += [_instruction(_EQUAL, number, 0, 1), _instruction(_JUMP, ahead)]
    return [*program, _instruction(_JUMP, len(body) // 8), body]


def _body(cases: tuple[Case, ...]) -> list[bytes]:
    """Assemble one call: case after case, the last of which always returns."""
    program: list[bytes] = []
    for case in cases:
        piece = [_instruction(_RETURN, case.answer)]
        for test in reversed(case.tests):
            piece = _test(test, len(piece)) + piece
        program += piece
        if not case.tests:
            break
    return program


def _test(test: Test, length: int) -> list[bytes]:
    """Fall through to the next `length` instructions if the test is passed, else jump over them."""
    if length + 1 > _FURTHEST:
        raise ValueError("a case with too many tests")
    low = _ARGUMENTS_AT + 8 * test.argument  # Both architectures are little-endian.
    program = [_instruction(_LOAD, low)]
    if not test.values:
        if test.whole:
            program += [
                _instruction(_ANY_BIT, 0xFFFFFFFF, 2, 0),
                _instruction(_LOAD, low + 4),
            ]
        return [*program, _instruction(_ANY_BIT, test.mask, 0, length)]
    if test.mask != 0xFFFFFFFF:
        program.append(_instruction(_AND, test.mask))
    for index, value in enumerate(test.values):
        left = len(test.values) - index - 1
        program.append(_instruction(_EQUAL, value, left, length if left == 0 else 0))
    return program
