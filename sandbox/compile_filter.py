"""The system call filter of compiler calls: no recorder looks, and the launcher makes some calls.

It is made of the rules for build scripts (`sandbox.seccomp_rules`), where whoever stopped for the
recorder is allowed or refused at once. Three things differ:

- There are no sockets but pairs: neither rustc nor a linker has anybody to talk to.
- What writes by a path stops for the launcher (seccomp_unotify(2)), which makes the call on copied
  arguments, or leaves it to Landlock. Flags decide, so what only reads never stops.
- Without Landlock's scopes nothing else keeps signals inside, so most of them are refused.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from buildperm.sandbox import seccomp
from buildperm.sandbox.seccomp_rules import (
    ALLOW,
    BY_ARGUMENTS,
    REFUSED_ALWAYS,
    RET_TRACE,
    ArgumentTest,
    FilterCase,
    guarded,
)
from buildperm.tracer.syscall_table import WRITING_FLAGS

NOTIFY = 0x7FC00000
"""SECCOMP_RET_USER_NOTIF, include/uapi/linux/seccomp.h: the launcher answers."""

SCOPED = 6
"""The first Landlock ABI that keeps signals inside."""

_ANSWERED = (
    *("creat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir"),
    *("link", "linkat", "symlink", "symlinkat", "mkdir", "mkdirat", "truncate"),
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown", "fchownat"),
    *("utime", "utimes", "futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr"),
    *("setxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat"),
)
"""What the launcher answers whatever the arguments; setuid bits are its affair as well."""

_ABSENT = FilterCase(guarded(errno.ENOSYS))
_DENIED = FilterCase(guarded(errno.EACCES))
_PERM = FilterCase(guarded(errno.EPERM))
_SIGNALLING = ("pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo")


def build(arch: str, numbers: Mapping[str, int], landlock_abi: int) -> bytes:
    """Assemble the filter: `struct sock_filter` after `struct sock_filter`.

    Args:
        arch: As uname(2) calls it.
        numbers: System call numbers of `arch` by name; a name that it lacks needs no rule.
        landlock_abi: What holds the calls besides.

    Raises:
        CannotEnforceError: There is no filter for `arch`.
    """
    rules = _rules(landlock_abi)
    return seccomp.assemble(arch, numbers, rules, foreign=guarded(errno.ENOSYS))


def _rules(landlock_abi: int) -> dict[str, tuple[FilterCase, ...]]:
    rules: dict[str, tuple[FilterCase, ...]] = {}
    for answer, names in REFUSED_ALWAYS.items():
        rules |= dict.fromkeys(names, (FilterCase(_unrecorded(answer)),))
    for name, cases in BY_ARGUMENTS.items():
        told = tuple(FilterCase(_unrecorded(case.answer), case.tests) for case in cases)
        rules[name] = (*told, FilterCase(ALLOW))
    rules |= dict.fromkeys(_ANSWERED, (FilterCase(NOTIFY),))
    for name, flags_at in {"open": 1, "openat": 2}.items():
        refused = rules[name][:-1]  # Files that are setuid from their birth.
        stops = FilterCase(NOTIFY, (ArgumentTest(flags_at, WRITING_FLAGS),))
        rules[name] = (*refused, stops, FilterCase(ALLOW))
    # A filter cannot see the flags of openat2; whoever uses it has to do with openat.
    rules["openat2"] = (_ABSENT,)
    rules["socket"] = (_DENIED,)
    # rustc is in the process group of Cargo and of everybody else whom Cargo has started.
    kept = (FilterCase(guarded(errno.EPERM), (ArgumentTest(0, 0x80000000),)),)
    to_itself = (FilterCase(guarded(errno.EPERM), (ArgumentTest(0, values=(0,)),)),)
    is_scoped = landlock_abi >= SCOPED
    rules["kill"] = (*kept, *to_itself, FilterCase(ALLOW)) if is_scoped else (_PERM,)
    if not is_scoped:
        rules |= dict.fromkeys(_SIGNALLING, (_PERM,))
    return rules


def _unrecorded(answer: int) -> int:
    """Return the answer without a recorder: what it was told of fails with the same errno."""
    if answer & 0xFFFF0000 != RET_TRACE:
        return answer
    number = answer & 0xFFF  # Below `BROKERED`: errno(3) ends at 4095.
    return guarded(number) if number else ALLOW
