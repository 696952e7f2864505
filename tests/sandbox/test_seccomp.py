"""The filter against a table written by hand from the manual pages, number by number."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Mapping

import pytest

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import portable_runtime, seccomp
from buildperm.tracer import syscall_numbers, syscall_table
from tests.sandbox.filter_machine import ARCH, evaluate

ALLOW = "allow"
RECORD = "record"

EPERM = """
    ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd unshare setns
    mount umount2 open_tree open_tree_attr move_mount fsopen fsconfig fsmount fspick mount_setattr
    pivot_root chroot open_by_handle_at name_to_handle_at bpf perf_event_open userfaultfd keyctl
    add_key request_key modify_ldt mbind move_pages migrate_pages memfd_secret fanotify_init
    fanotify_mark inotify_init inotify_init1 shmget shmat shmctl shmdt semget semop semctl
    semtimedop msgget msgsnd msgrcv msgctl mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify
    mq_getsetattr init_module finit_module delete_module kexec_load kexec_file_load reboot swapon
    swapoff acct quotactl quotactl_fd iopl ioperm syslog clock_settime clock_adjtime settimeofday
    adjtimex sethostname setdomainname vhangup
"""
ENOSYS = """
    io_uring_setup io_uring_enter io_uring_register io_setup io_submit file_setattr listmount
    statmount lsm_set_self_attr
"""
EACCES = "bind listen"
MADE = """
    connect chmod fchmod fchmodat fchmodat2 chown lchown fchown fchownat utime utimes futimesat
    utimensat setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr
    removexattrat
"""
SEEN = """
    rt_sigqueueinfo tgkill rt_tgsigqueueinfo tkill pidfd_open pidfd_send_signal
    open creat openat openat2 unlink unlinkat rmdir rename renameat renameat2 link linkat symlink
    symlinkat mkdir mkdirat mknod mknodat truncate execve execveat sched_getaffinity
"""


def told(number: int) -> str:
    return f"told {errno.errorcode[number]}"


def made(number: int) -> str:
    return f"made by the supervisor, else {errno.errorcode[number]}"


def silent(number: int) -> str:
    return f"silent {errno.errorcode[number]}"


def foreign(machine: str) -> str:
    """Say how a call of another architecture is refused: told where the recorder can answer it."""
    return "told of another architecture" if machine == "x86_64" else silent(errno.ENOSYS)


def read_answer(value: int) -> str:
    """Say in words what a filter's answer means: seccomp(2)."""
    action, content = value & 0xFFFF0000, value & 0xFFFF
    if action == 0x7FFF0000:
        return ALLOW
    if action == 0x7FF00000 and content & 0x8000:  # More than any errno: the recorder's own mark.
        return made(content & 0x7FFF)
    if value == 0x7FF04000 | errno.ENOSYS:  # Another mark.
        return foreign("x86_64")
    if action == 0x7FF00000:
        return told(content) if content else RECORD
    assert action == 0x00050000, hex(value)
    return silent(content)


BY_NAME = (
    dict.fromkeys(EPERM.split(), told(errno.EPERM))
    | dict.fromkeys(ENOSYS.split(), told(errno.ENOSYS))
    | dict.fromkeys(EACCES.split(), told(errno.EACCES))
    | dict.fromkeys(MADE.split(), made(errno.EACCES))
    | dict.fromkeys(SEEN.split(), RECORD)
    | {"clone3": silent(errno.ENOSYS)}
)

HIGH = 1 << 32
ARGUMENTS: list[tuple[str, tuple[int, ...], str]] = [
    ("clone", (0x11,), ALLOW),  # fork: SIGCHLD
    ("clone", (0x4111,), ALLOW),  # vfork
    ("clone", (0x3D0F00,), ALLOW),  # a thread
    ("clone", (0x00800011,), told(errno.EPERM)),  # CLONE_UNTRACED
    ("clone", (0x00002011,), told(errno.EPERM)),  # CLONE_PTRACE
    ("clone", (0x10800011,), told(errno.EPERM)),
    *[
        ("clone", (bit | 17,), told(errno.EPERM))
        for bit in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
    ],
    ("seccomp", (0,), told(errno.EPERM)),
    ("seccomp", (1, 0), told(errno.EPERM)),
    ("seccomp", (1, 8), told(errno.EPERM)),
    ("seccomp", (HIGH | 1, 8), told(errno.EPERM)),  # The kernel reads 32 bits.
    ("seccomp", (2,), ALLOW),  # SECCOMP_GET_ACTION_AVAIL
    *[  # What takes a connection elsewhere, or makes it later.
        ("setsockopt", (3, level, option), told(errno.EPERM))
        for level, options in {0: (4, 19), 41: (5, 6, 57, 75), 6: (19, 30, 31)}.items()
        for option in options
    ],
    ("setsockopt", (3, HIGH | 0, 4), told(errno.EPERM)),
    ("setsockopt", (3, 0, 1), ALLOW),  # IP_TOS
    ("setsockopt", (3, 1, 4), ALLOW),  # SO_ERROR
    ("setsockopt", (3, 6, 1), ALLOW),  # TCP_NODELAY
    ("prctl", (4, 0), told(errno.EPERM)),
    ("prctl", (4, 1), told(errno.EPERM)),
    ("prctl", (22, 2), told(errno.EPERM)),
    ("prctl", (35, 13), told(errno.EPERM)),
    ("prctl", (0x59616D61, 0xFFFFFFFFFFFFFFFF), told(errno.EPERM)),
    ("prctl", (3,), ALLOW),  # PR_GET_DUMPABLE
    ("prctl", (15, 0), ALLOW),  # PR_SET_NAME
    ("prctl", (38, 1), ALLOW),  # PR_SET_NO_NEW_PRIVS
    ("socketpair", (1, 1), ALLOW),
    ("socketpair", (1, 0x80801), ALLOW),
    ("socketpair", (1, 5), ALLOW),
    ("socketpair", (2, 1), told(errno.EACCES)),
    ("socketpair", (30, 5), told(errno.EACCES)),  # TIPC
    ("socketpair", (1, 2), told(errno.EACCES)),
    ("socketpair", (1, 0x80002), told(errno.EACCES)),
    ("socketpair", (1, 3), told(errno.EACCES)),
    ("sendto", (3, 0x1000, 5, 0, 0, 0), ALLOW),
    ("sendto", (3, 0x1000, 5, 0x4000, 0, 0), ALLOW),  # MSG_NOSIGNAL
    ("sendto", (3, 0x1000, 5, 0, 0x2000, 16), told(errno.EACCES)),
    ("sendto", (3, 0x1000, 5, 0, 5 * HIGH, 16), told(errno.EACCES)),
    ("sendto", (3, 0x1000, 5, 0x20000000, 0, 0), told(errno.EACCES)),
    ("sendmsg", (3, 0x1000, 0), ALLOW),
    ("sendmsg", (3, 0x1000, 0x20004000), told(errno.EACCES)),
    ("sendmmsg", (3, 0x1000, 1, 0), ALLOW),
    ("sendmmsg", (3, 0x1000, 1, 0x20000000), told(errno.EACCES)),
    ("kill", (0, 15), ALLOW),  # The caller's own process group.
    ("kill", (HIGH, 15), ALLOW),
    ("kill", (77, 0), RECORD),
    ("kill", (0xFFFFFFFE, 15), RECORD),
    ("kill", (0xFFFFFFFF, 15), made(errno.EPERM)),
    ("kill", ((1 << 64) - 1, 0), made(errno.EPERM)),
    ("fcntl", (3, 2, 1), ALLOW),  # F_SETFD
    ("fcntl", (3, 9), ALLOW),  # F_GETOWN
    ("fcntl", (3, 8, 77), told(errno.EPERM)),
    ("fcntl", (3, HIGH | 15, 0x1000), told(errno.EPERM)),
    *[
        (name, arguments, answer)
        for name, before in (("setrlimit", ()), ("prlimit64", (0,)))
        for arguments, answer in (
            ((*before, 4, 0x1000, 0), RECORD),
            ((*before, 4, HIGH, 0), RECORD),
            ((*before, 7, 0x1000, 0), ALLOW),
        )
    ],
    ("prlimit64", (0, 4, 0, 0x1000), ALLOW),  # Asks.
    ("prlimit64", (77, 4, 0x1000), told(errno.EPERM)),
    ("ioctl", (0, 0x5401), ALLOW),  # TCGETS
    ("ioctl", (0, 0x5412), told(errno.EPERM)),
    ("ioctl", (0, HIGH | 0x5412), told(errno.EPERM)),
    ("ioctl", (0, 0x541C), told(errno.EPERM)),
    ("ioctl", (0, 0x5423), told(errno.EPERM)),
    *[
        ("ioctl", (3, command), ALLOW)
        for command in (
            *(0x541B, 0x5421, 0x5451, 0x802C542A),  # FIONREAD, FIONBIO, FIOCLEX, TCGETS2
            *(0x40049409, 0x4020940D),  # FICLONE, FICLONERANGE
            *(0x2, 0xC020660B, 0x80086601, 0x80087601, 0x801C581F),  # What a file is like.
            *(0x81009431, 0x80111500, 0x80811501),  # And its file system.
            *(0xC040FF0B, 0xC050FF0B),  # PIDFD_GET_INFO
        )
    ],
    *[
        ("ioctl", (3, command), told(errno.EPERM))
        for command in (
            *(0x40086602, 0x401C5820, 0x40087602, 0x40086604, 0x40806685),  # Attributes.
            *(0x5000940E, 0x50009417, 0x50009401, 0x5000940F),  # btrfs: make, copy, remove.
            *(0xC0045877, 0x8004587D, 0xC0185879, 0x41009432),  # FIFREEZE, shutdown, FITRIM, label
            *(0x800C6613, 0xC0506617),  # fscrypt: policy, key
            *(0x8913, 0x8914),  # SIOCGIFFLAGS, SIOCSIFFLAGS
            *(0x80045200, 0xFF03, 0xC0189436, 0),
        )
    ],
    *[("fcntl", (3, command), told(errno.EPERM)) for command in (1024, 1026, 1040, HIGH | 1024)],
    # F_DUPFD to F_SETLKW, F_GETLEASE, F_OFD_SETLK, F_DUPFD_CLOEXEC, F_SETPIPE_SZ, F_ADD_SEALS
    *[("fcntl", (3, command), ALLOW) for command in (*range(8), 1025, 37, 1030, 1031, 1033)],
    *[
        (name, (0,), ALLOW)
        for name in (
            "prlimit64",
            "sched_setparam",
        )
    ],
    *[(f"sched_set{what}", (0,), RECORD) for what in ("affinity", "attr", "scheduler")],
    *[
        (name, (descriptor, 0x1000, count), RECORD if descriptor >= 3 and count <= 15 else ALLOW)
        for name in ("read", "write")
        for descriptor in (0, 1, 2, 3, 4, 5, 7, 8, 255, 256, 1 << 20)
        for count in (0, 1, 2, 8, 15, 16, 17, 31, 4096, (1 << 32) - 1)
    ],
    *[
        (name, (77,), told(errno.EPERM))
        for name in (
            "prlimit64",
            "sched_setaffinity",
            "sched_setattr",
            "sched_setparam",
            "sched_setscheduler",
        )
    ],
    ("setpriority", (0, 0, 5), ALLOW),
    ("setpriority", (0, 77, 5), told(errno.EPERM)),
    ("setpriority", (1, 0, 5), ALLOW),
    ("setpriority", (1, 77, 5), told(errno.EPERM)),
    ("setpriority", (2, 0, 5), told(errno.EPERM)),
    ("ioprio_set", (1, 0, 5), ALLOW),
    ("ioprio_set", (1, 77, 5), told(errno.EPERM)),
    ("ioprio_set", (3, 0, 5), told(errno.EPERM)),
]


CREAT, TMPFILE = 0o100, 0o20200000
BORN: list[tuple[str, tuple[int, ...], bool]] = [
    # Call, arguments, whether it makes a file that is setuid or setgid: open(2), mknod(2).
    ("open", (9, CREAT | 1, 0o4755), True),
    ("open", (9, CREAT, 0o2644), True),
    ("open", (9, CREAT, HIGH | 0o2644), True),
    ("open", (9, TMPFILE | 2, 0o6755), True),
    ("open", (9, CREAT, 0o1777), False),
    ("open", (9, TMPFILE | 2, 0o600), False),
    ("open", (9, 2, 0o7777), False),  # What is in the third register then means nothing.
    ("open", (9, 0o200000, 0o7777), False),  # O_DIRECTORY, half of O_TMPFILE
    ("creat", (9, 0o4755), True),
    ("creat", (9, 0o755), False),
    ("openat", (3, 9, CREAT | 1, 0o4755), True),
    ("openat", (3, 9, TMPFILE | 1, 0o2755), True),
    ("openat", (3, 9, CREAT | 1, 0o755), False),
    ("openat", (3, 9, 0, 0o4755), False),
    ("mknod", (9, 0o104755, 0), True),
    ("mknod", (9, 0o100755, 0), False),
    ("mknodat", (3, 9, 0o102755, 0), True),
    ("mknodat", (3, 9, 0o010600, 0), False),
]


@pytest.mark.parametrize(("name", "arguments", "is_refused"), BORN)
def test_no_file_is_born_setuid(name: str, arguments: tuple[int, ...], is_refused: bool) -> None:
    for machine, arch in ARCH.items():
        numbers = syscall_numbers.table(machine)
        if name in numbers:
            program = seccomp.build(machine, numbers, syscall_table.recorded())
            found = read_answer(evaluate(program, arch, numbers[name], arguments))

            assert found == (told(errno.EPERM) if is_refused else RECORD)


def socket_answer(family: int, kind: int, protocol: int) -> str:
    """Return the answer to socket(2), in plain conditions."""
    if family == 1:
        return RECORD if kind in (1, 5) else told(errno.EACCES)
    if family in (2, 10):
        return RECORD if kind == 1 and protocol in (0, 6) else told(errno.EACCES)
    return told(errno.EAFNOSUPPORT)


@pytest.fixture(params=sorted(ARCH))
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def numbers(machine: str) -> Mapping[str, int]:
    return syscall_numbers.table(machine)


@pytest.fixture
def program(machine: str, numbers: Mapping[str, int]) -> bytes:
    return seccomp.build(machine, numbers, syscall_table.recorded())


def test_every_number_gets_the_answer_of_the_table(
    machine: str, numbers: Mapping[str, int], program: bytes
) -> None:
    by_number = {number: name for name, number in numbers.items()}
    special = {name for name, _, _ in ARGUMENTS} | {"socket"}
    for number in range(1100):
        name = by_number.get(number, "")
        if name not in special:
            found = read_answer(evaluate(program, ARCH[machine], number, (1, 2, 3, 4, 5, 6)))

            unnamed = silent(errno.ENOSYS) if number > seccomp.NEWEST else ALLOW
            assert found == BY_NAME.get(name, unnamed), (name, number)


def test_the_newest_call_is_the_newest_of_the_table(
    machine: str, numbers: Mapping[str, int], program: bytes
) -> None:
    assert max(numbers.values()) == seccomp.NEWEST
    for number in (seccomp.NEWEST + 1, 512, 0x3FFFFFFF):
        assert read_answer(evaluate(program, ARCH[machine], number)) == silent(errno.ENOSYS)
    for number in (0x40000000, 0x7FFFFFFF, 0xFFFFFFFF):  # Those of x32, on x86-64.
        found = read_answer(evaluate(program, ARCH[machine], number))
        assert found == foreign(machine)


@pytest.mark.parametrize(("name", "arguments", "answer"), ARGUMENTS)
def test_arguments_decide_as_the_table_says(
    machine: str,
    numbers: Mapping[str, int],
    program: bytes,
    name: str,
    arguments: tuple[int, ...],
    answer: str,
) -> None:
    found = read_answer(evaluate(program, ARCH[machine], numbers[name], arguments))

    assert found == answer


def test_every_kind_of_socket_is_answered_as_its_family_and_type_say(
    machine: str, numbers: Mapping[str, int], program: bytes
) -> None:
    flags = (0, 0o4000, 0o2000000, 0o2004000)  # SOCK_NONBLOCK, SOCK_CLOEXEC
    protocols = (0, 1, 6, 17, 132, 255, 262)  # 262 is MPTCP
    for family, kind, flag, protocol in itertools.product(range(50), range(8), flags, protocols):
        arguments = (family, kind | flag, protocol)
        found = read_answer(evaluate(program, ARCH[machine], numbers["socket"], arguments))

        assert found == socket_answer(family, kind, protocol), arguments


def test_calls_of_other_architectures_do_not_exist(machine: str, program: bytes) -> None:
    for arch in (0x40000003, 0xC000003E, 0xC00000B7, 0x40000028, 0):
        if arch != ARCH[machine]:
            for number in range(600):
                assert read_answer(evaluate(program, arch, number)) == foreign(machine)


def test_x32_calls_do_not_exist_on_x86_64() -> None:
    program = seccomp.build("x86_64", syscall_numbers.table("x86_64"), syscall_table.recorded())
    for number in (0x40000000, 0x40000001, 0x40000101, 0x40000208, 0x7FFFFFFF, 0xFFFFFFFE):
        assert read_answer(evaluate(program, ARCH["x86_64"], number)) == foreign("x86_64")


def test_the_names_that_stop_are_those_that_the_filter_stops(
    machine: str, numbers: Mapping[str, int], program: bytes
) -> None:
    stopping = seccomp.stopping(numbers, syscall_table.recorded())
    tried = {name: [arguments] for name, arguments, _ in ARGUMENTS}
    for name, arguments, _ in ARGUMENTS:
        tried[name].append(arguments)
    for name, number in numbers.items():
        answers = {
            read_answer(evaluate(program, ARCH[machine], number, arguments))
            for arguments in tried.get(name, [(0,) * 6])
        }
        stops = any(answer == RECORD or answer.startswith(("told", "made")) for answer in answers)

        assert stops == (stopping.get(number) == name), name


def test_a_name_that_the_machine_lacks_needs_no_rule() -> None:
    numbers = syscall_numbers.table("aarch64")
    missing = {"open", "modify_ldt", "inotify_init", "iopl"}
    assert missing.isdisjoint(numbers)

    program = seccomp.build("aarch64", numbers, syscall_table.recorded())

    assert read_answer(evaluate(program, ARCH["aarch64"], numbers["openat"])) == RECORD


def test_more_rules_than_a_jump_reaches_still_answer_right() -> None:
    numbers = {f"call{number}": number for number in range(seccomp.NEWEST + 1)}
    recorded = [f"call{number}" for number in range(0, seccomp.NEWEST + 1, 2)]

    program = seccomp.build("x86_64", numbers, recorded)

    assert len(program) // 8 <= 4096  # BPF_MAXINSNS
    for number in range(seccomp.NEWEST + 1):
        expected = ALLOW if number % 2 else RECORD
        assert read_answer(evaluate(program, ARCH["x86_64"], number)) == expected


def test_an_unknown_processor_is_refused_with_a_reason() -> None:
    with pytest.raises(CannotEnforceError, match="riscv64"):
        seccomp.build("riscv64", {}, [])


def test_aarch64_has_no_light_filter_and_stops_for_every_open() -> None:
    numbers = syscall_numbers.table("aarch64")
    program = seccomp.build("aarch64", numbers, syscall_table.recorded())
    opens = [name for name in ("open", "creat", "openat", "openat2") if name in numbers]
    key = syscall_table.LIGHT_KEY

    assert portable_runtime.light_filter("aarch64", numbers) == b""
    assert opens == ["openat", "openat2"]
    for name, flags in itertools.product(opens, (0, os.O_CLOEXEC, os.O_DIRECTORY, os.O_RDWR)):
        arguments = (HIGH - 100, 0x1000, flags, 0, 0, key)
        assert read_answer(evaluate(program, ARCH["aarch64"], numbers[name], arguments)) == RECORD


def test_light_observation_lets_nothing_pass_but_reading_opens_with_the_key() -> None:
    numbers, names = syscall_numbers.table(), syscall_table.recorded()
    full = seccomp.build("x86_64", numbers, names)
    light = seccomp.build("x86_64", numbers, names, light=True)
    key, openat = syscall_table.LIGHT_KEY, numbers["openat"]

    def answers(number: int, *arguments: int) -> tuple[str, str]:
        program = ARCH["x86_64"], number, arguments
        return tuple(read_answer(evaluate(each, *program)) for each in (full, light))  # type: ignore[return-value]  # of two

    assert answers(openat, -100, 0x1000, os.O_RDONLY | os.O_CLOEXEC, 0, 0, key) == (RECORD, ALLOW)
    assert answers(openat, -100, 0x1000, os.O_DIRECTORY, 0, 0, key) == (RECORD, ALLOW)
    for wrong in (0, key & 0xFFFFFFFF, key >> 32, key ^ 1, key ^ 1 << 32, key ^ 1 << 63):
        assert answers(openat, -100, 0x1000, 0, 0, 0, wrong) == (RECORD, RECORD)
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_TMPFILE):
        assert answers(openat, -100, 0x1000, flags, 0, 0, key) == (RECORD, RECORD)
    assert answers(openat, -100, 0x1000, os.O_CREAT, 0o4755, 0, key)[1] == told(errno.EPERM)
    others = {"openat", "chdir", "fchdir", "munmap", "mprotect", "pkey_mprotect", "mremap"}
    others.add("remap_file_pages")
    for number in set(numbers.values()) - {numbers[name] for name in others}:
        assert len(set(answers(number, 0, 0, 0, 0, 0, key))) == 1


def test_light_observation_opens_what_is_in_folders_and_keeps_their_page() -> None:
    numbers, names = syscall_numbers.table(), syscall_table.recorded()
    program = seccomp.build("x86_64", numbers, names, light=True)
    first, page = syscall_table.FOLDERS_KEY, syscall_table.FOLDERS_PAGE
    last = first + syscall_table.FOLDERS_MOST - 1

    def answer(name: str, *arguments: int) -> str:
        return read_answer(evaluate(program, ARCH["x86_64"], numbers[name], arguments))

    for folder, how in itertools.product((first, last), (page, page + 24)):
        assert answer("openat2", folder, 0x1234, how, 24) == ALLOW
    for wrong in (
        *((first - 1, 1, page, 24), (last + 1, 1, page, 24), (HIGH - 100, 1, page, 24)),
        *((first, 1, page + 1, 24), (first, 1, page + 48, 24), (first, 1, page | 1 << 32, 24)),
        *((first, 1, 0, 24), (first, 1, page, 25), (first, 1, page, 24 | 1 << 32)),
    ):
        assert answer("openat2", *wrong) == RECORD
    tagged = 1 << 57 | page, 0x3F << 57 | page, 1 << 62  # As a processor with tags takes them.
    low = 0, 1, page - 1, page, page + 0xFFF, *tagged
    high = 2 * page, 1 << 32, 1 << 32 | page, 1 << 56 | page, 1 << 63 | page
    kept = "silent EPERM"
    for name in ("munmap", "mprotect", "pkey_mprotect", "mremap", "remap_file_pages"):
        assert {answer(name, address, 4096) for address in low} == {kept}
        assert {answer(name, address, 4096) for address in high} == {ALLOW}
    assert {answer("madvise", address, 4096, 4) for address in low} == {kept}
    assert {answer("madvise", address, 1 << 32, 4) for address in low} == {kept}
    assert {answer("madvise", address, 4096, 4) for address in high} == {ALLOW}
    assert answer("madvise", 0, 0, 4) == ALLOW  # Asks whether the kernel knows an advice.
    private, fixed, there = 0x22, 0x32, 0x100022
    for flags in (private, fixed, there):
        assert {answer("mmap", address, 4096, 3, flags) for address in high} == {ALLOW}
        assert {answer("mmap", address, 4096, 3, flags) for address in low[1:]} == {
            told(errno.EPERM)
        }
    assert answer("mmap", 0, 4096, 3, private) == ALLOW
    assert {answer("mmap", 0, 4096, 3, flags) for flags in (fixed, there)} == {told(errno.EPERM)}
    assert answer("mremap", 1 << 32, 4096, 4096, 3, page) == kept
    assert answer("mremap", 1 << 32, 4096, 4096, 3, 1 << 60 | page) == kept
    assert answer("mremap", 1 << 32, 4096, 4096, 1, page) == ALLOW  # Its fifth argument is none.
    assert answer("mremap", 1 << 32, 4096, 4096, 3, 1 << 33) == ALLOW
    for folder in (first, last):
        assert answer("fcntl", folder, 2, 0) == kept  # F_SETFD
        assert answer("fcntl", folder, 1) == ALLOW  # F_GETFD
        assert answer("ioctl", folder, 0x5450) == kept  # FIONCLEX
        assert answer("ioctl", folder, 0x5451) == ALLOW  # FIOCLEX
    assert answer("fcntl", first - 1, 2, 0) == answer("fcntl", last + 1, 2, 0) == ALLOW


def test_looks_stop_unless_they_are_at_a_descriptor_or_have_the_key() -> None:
    key = syscall_table.LOOK_KEY
    for machine, arch in ARCH.items():
        numbers, names = syscall_numbers.table(machine), syscall_table.recorded()
        plain = seccomp.build(machine, numbers, names)
        looking = seccomp.build(machine, numbers, names, looks=True)
        looks = {name: numbers[name] for name in syscall_table.looks() if name in numbers}
        assert {"newfstatat", "statx", "faccessat", "readlinkat", "chdir"} <= looks.keys()
        for name, number in looks.items():
            flags_at = {"newfstatat": 3, "faccessat2": 3, "statx": 2}.get(name)
            for arguments, expected in (
                ((9, 9, 0, 0, 9, 0), RECORD),
                ((9, 9, 0x100, 0x100, 9, key ^ 1), RECORD),
                ((9, 9, 0, 0, 9, key ^ 1 << 40), RECORD),
                ((9, 9, 0, 0, 9, key), RECORD if name == "getxattrat" else ALLOW),
                ((9, 9, 0x1000, 0x1000, 9, 0), RECORD if flags_at is None else ALLOW),
            ):
                assert read_answer(evaluate(looking, arch, number, arguments)) == expected, name
                assert read_answer(evaluate(plain, arch, number, arguments)) == ALLOW, name
        for number in set(numbers.values()) - set(looks.values()):
            for arguments in ((0, 0, 0, 0, 0, key), (1, 2, 3, 4, 5, 6)):
                answers = [
                    read_answer(evaluate(each, arch, number, arguments))
                    for each in (plain, looking)
                ]
                assert answers[0] == answers[1], number


def test_only_the_key_lets_what_tools_list_pass() -> None:
    numbers, names = syscall_numbers.table("x86_64"), syscall_table.recorded()
    program = seccomp.build("x86_64", numbers, names, every_look=True, listed=True)
    key, public = syscall_table.LIGHT_KEY, syscall_table.LOOK_KEY

    def answer(name: str, *arguments: int) -> str:
        return read_answer(evaluate(program, ARCH["x86_64"], numbers[name], arguments))

    for name in syscall_table.LISTED_LOOKS:
        assert answer(name, 0, 1, 0, 0, 0, key) == ALLOW
        for other in (0, public, key ^ 1, key ^ 1 << 40, key & 0xFFFFFFFF):
            assert answer(name, 0, 1, 0, 0, 0, other) == RECORD
    for flags in (0, os.O_CLOEXEC):
        assert answer("openat", 0, 1, flags, 0, 0, key) == ALLOW
    for flags in (os.O_DIRECTORY, 0x200000, os.O_CREAT, os.O_WRONLY, os.O_TRUNC):
        assert answer("openat", 0, 1, flags, 0, 0, key) == RECORD
    assert answer("clone", 0x200) == RECORD  # CLONE_FS: another process moves with this one.
    assert answer("clone", 0x200 | 0x10000) == ALLOW  # A thread.
    assert answer("clone", 0x200 | 0x20000) == told(errno.EPERM)


def test_every_look_stops_but_for_one_without_a_path() -> None:
    key = syscall_table.LOOK_KEY
    for machine, arch in ARCH.items():
        numbers, names = syscall_numbers.table(machine), syscall_table.recorded()
        plain = seccomp.build(machine, numbers, names)
        every = seccomp.build(machine, numbers, names, every_look=True)
        names_that_look = (*syscall_table.looks(), syscall_table.NAMING)
        looks = {name: numbers[name] for name in names_that_look if name in numbers}
        for name, number in looks.items():
            is_free = name in ("newfstatat", "statx")
            for arguments, expected in (
                ((9, 9, 0, 0, 9, 0), RECORD),
                ((9, 9, 0, 0, 9, key), RECORD),
                ((9, 9, 0x1000, 0x1000, 9, key), RECORD),
                ((9, 9 << 32, 0x1000, 0x1000, 9, 0), RECORD),
                ((9, 0, 0, 0, 9, 0), RECORD),
                ((9, 0, 0x1000, 0x1000, 9, 0), ALLOW if is_free else RECORD),
            ):
                assert read_answer(evaluate(every, arch, number, arguments)) == expected, name
        for number in set(numbers.values()) - set(looks.values()):
            for arguments in ((0, 0, 0, 0, 0, key), (1, 2, 3, 4, 5, 6)):
                answers = [
                    read_answer(evaluate(each, arch, number, arguments)) for each in (plain, every)
                ]
                assert answers[0] == answers[1], number
