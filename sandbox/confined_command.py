"""Confines a command for good, and without a recorder.

For what reads hostile files and is no build script: a compiler that makes a module for WASI, and
the process that runs one. Landlock leaves what is named, and a filter takes sockets, memory of
other processes and the kernel's surface away. Whatever is started inherits both.
`python -m buildperm.sandbox.confined_command` becomes such a command.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterable, Mapping

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import seccomp
from buildperm.sandbox.seccomp_rules import (
    ALLOW,
    BY_ARGUMENTS,
    REFUSED_ALWAYS,
    RET_TRACE,
    FilterCase,
    guarded,
)
from buildperm.supervisor import landlock, syscalls
from buildperm.tracer import syscall_numbers
from buildperm.tracer.notation import decode, encode

if sys.platform != "win32":
    import resource

READS = landlock.READ_FILE | landlock.READ_DIR
RUNS = READS | landlock.EXECUTE
WRITES = (
    READS
    | landlock.WRITE_FILE
    | landlock.REMOVE_DIR
    | landlock.REMOVE_FILE
    | landlock.MAKE_DIR
    | landlock.MAKE_REG
    | landlock.MAKE_SYM
    | landlock.REFER
    | landlock.TRUNCATE
)

_PASSED = ("HOME", "PATH", "PYTHONPATH")
_FILE_MOST = 256 << 20  # Bytes of each file that it writes.
_MEMORY_MOST = 4 << 30  # Bytes of each process: rustc takes some hundred MiB for a build script.
_ERRNO = 0xFFF  # Of an answer: the rest of its data is for a recorder, and there is none.
_STARTS = ("execve", "execveat", "fork", "vfork")
_SIGNALS = ("kill", "tkill", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
# What Landlock knows nothing of, and what no module can ask for.
_CHANGES = (
    *("chmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown", "fchownat"),
    *("setxattr", "lsetxattr", "fsetxattr", "setxattrat"),
    *("removexattr", "lremovexattr", "fremovexattr", "removexattrat"),
)
_LEFT = frozenset(("fchmod", "utime", "utimes", "futimesat", "utimensat"))


def program(*, starts: bool) -> bytes:
    """Return the filter, `struct sock_filter` after `struct sock_filter`.

    Args:
        starts: Other programs may be started.

    Raises:
        CannotEnforceError: There is none for this processor.
    """
    rules: dict[str, tuple[FilterCase, ...]] = {}
    for answer, names in REFUSED_ALWAYS.items():
        case = FilterCase(_unrecorded(answer))
        rules |= {name: (case,) for name in names if name not in _LEFT}
    for name, cases in BY_ARGUMENTS.items():
        told = [FilterCase(_unrecorded(case.answer), case.tests) for case in cases]
        rules[name] = (*told, FilterCase(ALLOW))
    rules["socket"] = (FilterCase(guarded(errno.EACCES)),)
    closed = (*_SIGNALS, *(() if starts else _STARTS))
    rules |= dict.fromkeys(closed, (FilterCase(guarded(errno.EPERM)),))
    rules |= dict.fromkeys(_CHANGES, (FilterCase(guarded(errno.EPERM)),))
    numbers: Mapping[str, int] = syscall_numbers.table()
    return seccomp.assemble(os.uname().machine, numbers, rules, foreign=guarded(errno.ENOSYS))


def _unrecorded(answer: int) -> int:
    if answer & 0xFFFF0000 != RET_TRACE:
        return answer
    return guarded(answer & _ERRNO) if answer & _ERRNO else ALLOW


def confine(rights: Mapping[bytes, int], *, starts: bool) -> None:
    """Confine the calling thread, and all that it starts from now on.

    Args:
        rights: Landlock's by path; one at which nothing is, or that has a link in it, gives none.
        starts: Other programs may be started.

    Raises:
        CannotEnforceError: The kernel has no Landlock, or there is no filter for this processor.
        OSError: The kernel refuses.
    """
    abi = landlock.abi()
    if not abi:
        raise CannotEnforceError(
            "this kernel has no Landlock", hint="Use Linux 5.13 or newer, with Landlock on."
        )
    made = program(starts=starts)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ruleset = landlock.ruleset(abi)
    for path, allowed in rights.items():
        landlock.allow(ruleset, path, allowed, abi)  # It follows no link: one may be hostile.
    syscalls.control(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(ruleset)
    os.close(ruleset)
    syscalls.install(made)


def words(
    command: Iterable[str],
    variables: Mapping[str, str],
    *,
    runs: Iterable[bytes] = (),
    reads: Iterable[bytes] = (),
    writes: Iterable[bytes] = (),
) -> list[str]:
    """Return the command line that runs a command confined, with what it may do at which paths.

    `variables` are all that it has; to be started takes those of `own_variables`.
    """
    told = {"runs": runs, "reads": reads, "writes": writes}
    rights = {kind: [encode(path) for path in paths] for kind, paths in told.items()}
    given = json.dumps({"rights": rights, "variables": {**variables}})
    own = [os.path.abspath(sys.executable), "-P", "-m", "buildperm.sandbox.confined_command"]
    return [*own, given, *command]


def own_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return what Python needs to find buildperm from the folder of a package, and no more."""
    passed = {name: variables[name] for name in _PASSED if name in variables}
    if "PYTHONPATH" in passed:  # Nothing of it is to be found in that folder.
        passed["PYTHONPATH"] = os.pathsep.join(
            filter(os.path.isabs, passed["PYTHONPATH"].split(os.pathsep))
        )
    return passed


def main(given: str, command: list[str]) -> None:
    """Become a confined command."""
    syscalls.control(syscalls.PR_SET_PDEATHSIG, 9)
    told = json.loads(given)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_MOST, _FILE_MOST))
    # All that a process may write to and keep for itself, since Linux 4.7: setrlimit(2).
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_MOST, _MEMORY_MOST))
    rights: dict[bytes, int] = {}
    for kind, allowed in (("runs", RUNS), ("reads", READS), ("writes", WRITES)):
        for path in map(os.path.realpath, map(decode, told["rights"][kind])):
            rights[path] = rights.get(path, 0) | allowed
    confine(rights, starts=True)
    os.execve(command[0], command, told["variables"])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
