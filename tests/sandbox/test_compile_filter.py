"""The filter of compiler calls: what stops for the launcher, what is refused, what never stops."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

import pytest

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import compile_filter, seccomp
from buildperm.tracer import syscall_numbers
from tests.sandbox.filter_machine import ARCH, evaluate

CHANGING = (
    *("creat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "truncate"),
    *("link", "linkat", "symlink", "symlinkat", "mkdir", "mkdirat", "setxattrat", "removexattrat"),
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown", "fchownat"),
    *("utime", "utimes", "futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr"),
    *("removexattr", "lremovexattr", "fremovexattr"),
)
ALLOW = 0x7FFF0000
NOTIFY = 0x7FC00000


def refused(number: int) -> int:
    return 0x00050000 | number


@pytest.fixture(params=sorted(ARCH))
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def numbers(machine: str) -> Mapping[str, int]:
    return syscall_numbers.table(machine)


def answer(
    machine: str, name: str, arguments: tuple[int, ...] = (), landlock_abi: int = 6
) -> int | None:
    numbers = syscall_numbers.table(machine)
    if name not in numbers:
        return None
    program = compile_filter.build(machine, numbers, landlock_abi)
    return evaluate(program, ARCH[machine], numbers[name], arguments)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (os.O_RDONLY, ALLOW),
        (os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY, ALLOW),
        (os.O_PATH, ALLOW),
        (os.O_WRONLY, NOTIFY),
        (os.O_RDWR | os.O_CLOEXEC, NOTIFY),
        (os.O_RDONLY | os.O_CREAT, NOTIFY),
        (os.O_RDONLY | os.O_TRUNC, NOTIFY),
        (os.O_WRONLY | os.O_CREAT | os.O_EXCL, NOTIFY),
        (os.O_TMPFILE | os.O_RDWR, NOTIFY),
        (3, NOTIFY),  # Neither of the three ways to open: for ioctl(2) alone.
    ],
)
def test_only_what_may_write_stops(machine: str, flags: int, expected: int) -> None:
    assert answer(machine, "open", (9, flags, 0o644)) in (expected, None)
    assert answer(machine, "openat", (3, 9, flags, 0o644)) == expected


def test_no_file_is_born_setuid(machine: str) -> None:
    flags = os.O_CREAT | os.O_WRONLY

    assert answer(machine, "openat", (3, 9, flags, 0o4755)) == refused(errno.EPERM)
    assert answer(machine, "open", (9, flags, 0o2755)) in (refused(errno.EPERM), None)
    assert answer(machine, "mknodat", (3, 9, 0o104755, 0)) == refused(errno.EPERM)


@pytest.mark.parametrize(
    "name",
    [
        "creat",
        "rename",
        "renameat",
        "renameat2",
        "unlink",
        "unlinkat",
        "rmdir",
        "link",
        "linkat",
        "symlink",
        "symlinkat",
        "mkdir",
        "mkdirat",
        "truncate",
        "chmod",
        "fchmod",
        "fchmodat",
        "fchmodat2",
        "chown",
        "lchown",
        "fchown",
        "fchownat",
        "utime",
        "utimes",
        "futimesat",
        "utimensat",
        "setxattr",
        "lsetxattr",
        "fsetxattr",
        "setxattrat",
        "removexattr",
        "lremovexattr",
        "fremovexattr",
        "removexattrat",
    ],
)
def test_what_changes_something_by_name_stops(machine: str, name: str) -> None:
    assert answer(machine, name, (1, 2, 3, 4)) in (NOTIFY, None)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("read", (3, 9, 1), ALLOW),
        ("write", (3, 9, 1), ALLOW),
        ("execve", (), ALLOW),
        ("ftruncate", (3, 0), ALLOW),
        ("statx", (), ALLOW),
        ("clone", (0x11,), ALLOW),
        ("clone", (0x10000000,), refused(errno.EPERM)),  # CLONE_NEWUSER
        ("clone3", (), refused(errno.ENOSYS)),
        ("socket", (1, 1, 0), refused(errno.EACCES)),
        ("socket", (2, 1, 0), refused(errno.EACCES)),
        ("socket", (16, 3, 0), refused(errno.EACCES)),
        ("socketpair", (1, 1, 0), ALLOW),
        ("socketpair", (1, 2, 0), refused(errno.EACCES)),
        ("sendto", (3, 9, 1, 0, 9), refused(errno.EACCES)),
        ("connect", (3, 9, 16), refused(errno.EACCES)),
        ("bind", (3, 9, 16), refused(errno.EACCES)),
        ("ptrace", (16, 1), refused(errno.EPERM)),
        ("process_vm_readv", (1,), refused(errno.EPERM)),
        ("pidfd_getfd", (3, 4), refused(errno.EPERM)),
        ("io_uring_setup", (), refused(errno.ENOSYS)),
        ("openat2", (3, 9, 9, 24), refused(errno.ENOSYS)),
        ("unshare", (), refused(errno.EPERM)),
        ("mount", (), refused(errno.EPERM)),
        ("seccomp", (1,), refused(errno.EPERM)),
        ("prctl", (22,), refused(errno.EPERM)),
        ("kill", (0, 9), refused(errno.EPERM)),
        ("kill", (0xFFFFFFFF, 9), refused(errno.EPERM)),
        ("kill", (0xFFFFFF00, 9), refused(errno.EPERM)),
        ("kill", (77, 9), ALLOW),
        ("tgkill", (77, 77, 6), ALLOW),
    ],
)
def test_what_is_left_is_allowed_or_refused_at_once(
    machine: str, name: str, arguments: tuple[int, ...], expected: int
) -> None:
    assert answer(machine, name, arguments) == expected


@pytest.mark.parametrize("name", ["kill", "pidfd_send_signal", "rt_sigqueueinfo"])
def test_without_scopes_signals_are_refused(machine: str, name: str) -> None:
    assert answer(machine, name, (77, 9), landlock_abi=5) == refused(errno.EPERM)
    assert answer(machine, name, (77, 9), landlock_abi=6) == ALLOW


def test_nothing_ever_waits_for_a_recorder(machine: str, numbers: Mapping[str, int]) -> None:
    program = compile_filter.build(machine, numbers, 6)
    for number in (*range(1100), 0x40000000, 0xFFFFFFFF):
        for arguments in ((0,) * 6, (1, 2, 3, 4, 5, 6), (0xFFFFFFFF,) * 6):
            found = evaluate(program, ARCH[machine], number, arguments)

            assert found & 0xFFFF0000 in (ALLOW, NOTIFY, 0x00050000), number


def test_what_nobody_has_judged_does_not_exist(machine: str, numbers: Mapping[str, int]) -> None:
    program = compile_filter.build(machine, numbers, 6)

    for number in (seccomp.NEWEST + 1, 0x40000000):
        found = evaluate(program, ARCH[machine], number)
        assert found == refused(errno.ENOSYS)
    assert evaluate(program, 0x40000003, 11) == refused(errno.ENOSYS)


def test_an_unknown_processor_is_refused() -> None:
    with pytest.raises(CannotEnforceError, match="riscv64"):
        compile_filter.build("riscv64", {}, 6)
