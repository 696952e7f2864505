"""The numbers of system calls, checked against the kernel's own headers."""

from __future__ import annotations

import platform
import re
import subprocess

import pytest

from buildperm.tracer import syscall_numbers, syscall_table

_DEFINITION = re.compile(r"#define __NR_(\w+) (\d+)$", re.MULTILINE)


def test_the_numbers_of_this_machine_are_those_of_its_headers() -> None:
    listing = subprocess.run(
        ["cc", "-E", "-dM", "-include", "asm/unistd.h", "-xc", "/dev/null"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    numbers = {name: int(number) for name, number in _DEFINITION.findall(listing)}
    table = syscall_numbers.table()

    known = numbers.keys() & table.keys()
    assert {name: table[name] for name in known} == {name: numbers[name] for name in known}
    assert len(known) > 300
    assert {name for name in syscall_table.recorded() if name in numbers} <= table.keys()


def test_x86_64_knows_every_recorded_call() -> None:
    assert set(syscall_table.recorded()) <= syscall_numbers.table("x86_64").keys()


def test_aarch64_lacks_only_calls_that_it_does_not_have() -> None:
    """It came after the calls that take a descriptor: syscalls(2)."""
    missing = set(syscall_table.recorded()) - syscall_numbers.table("aarch64").keys()

    assert missing == {
        "open",
        "creat",
        "unlink",
        "rmdir",
        "rename",
        "link",
        "symlink",
        "mkdir",
        "mknod",
        "chmod",
        "chown",
        "lchown",
        "utime",
        "utimes",
        "futimesat",
    }
    assert syscall_numbers.table("aarch64")["openat"] == 56
    assert syscall_numbers.table("aarch64")["renameat2"] == 276


@pytest.mark.parametrize("machine", syscall_numbers.MACHINES)
def test_no_number_stands_for_two_calls(machine: str) -> None:
    table = syscall_numbers.table(machine)

    assert len(set(table.values())) == len(table)
    assert max(table.values()) < 512  # no x32 number among them
    assert table["fchmodat2"] == 452
    assert table["removexattrat"] == 466


def test_this_machine_is_the_default() -> None:
    assert syscall_numbers.table() == syscall_numbers.table(platform.machine())


def test_an_unknown_machine_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"`pdp11`.*x86_64, aarch64"):
        syscall_numbers.table("pdp11")
