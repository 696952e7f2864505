"""Landlock in real children, with the rights of every ABI up to this kernel's."""

from __future__ import annotations

import errno
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from buildperm.sandbox.machine import run_lean
from buildperm.supervisor import landlock, syscalls
from tests.programs import program_text

if TYPE_CHECKING:
    from pathlib import Path

NEWEST = landlock.abi()
CHILD = program_text("under_landlock.py")


def run_child(abi: int, folder: Path) -> dict[str, str]:
    lean = run_lean("exec(sys.argv.pop(1))", CHILD, str(abi), str(folder))
    ended = subprocess.run(lean, capture_output=True, text=True, check=True)
    return dict(line.split(": ") for line in ended.stdout.splitlines())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("in/d", "out"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("in/a", "out/a", "file"):
        (tmp_path / name).write_text("content")
    return tmp_path


@pytest.mark.parametrize("abi", range(1, landlock.NEWEST + 1))
def test_each_abi_refuses_what_it_knows_of(folder: Path, abi: int) -> None:
    if abi > NEWEST:
        pytest.skip(f"this kernel has Landlock ABI {NEWEST}")

    outcome = run_child(abi, folder)

    denied, works = "Permission denied", "works"
    assert outcome == {
        "idle": "True",
        "read granted": works,
        "read file": works,
        "read other": denied,
        "make": works,
        "make other": denied,
        "move": works if abi >= 2 else "Invalid cross-device link",
        "truncate other": denied if abi >= 3 else works,
        "bind": denied if abi >= 4 else works,
        "signal": "Operation not permitted" if abi >= 6 else works,
    }


@pytest.mark.parametrize(
    ("abi", "rights", "size"),
    [
        (1, 13, 8),
        (2, 14, 8),
        (3, 15, 8),
        (4, 15, 16),
        (5, 16, 16),
        (6, 16, 24),
        (7, 16, 24),
    ],
)
def test_the_rights_are_those_of_the_abi(abi: int, rights: int, size: int) -> None:
    assert landlock.file_rights(abi) == (1 << rights) - 1
    assert len(landlock.attributes(abi)) == size


def test_no_more_is_used_than_the_cap() -> None:
    assert landlock.abi(0) == 0
    assert landlock.abi(1) == min(1, NEWEST)
    assert landlock.abi(99) == NEWEST


def test_a_rule_that_cannot_be_added_names_stage_and_path(tmp_path: Path) -> None:
    descriptor = os.open("/dev/null", os.O_RDONLY)
    try:
        with pytest.raises(OSError, match=f"Landlock: add the rule for `{tmp_path}`"):
            landlock.allow(descriptor, os.fsencode(tmp_path), landlock.READ_FILE, 1)
        with pytest.raises(OSError, match="Landlock: restrict the process"):
            landlock.restrict(descriptor)
    finally:
        os.close(descriptor)


def test_a_seventeenth_sandbox_is_told_from_other_failures() -> None:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            syscalls.control(syscalls.PR_SET_NO_NEW_PRIVS, 1)
            for _ in range(17):
                landlock.restrict(landlock.ruleset(1))
        except OSError as error:
            code = 0 if error.errno == errno.E2BIG and "16 sandboxes" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_the_kernel_is_asked_for_its_errata() -> None:
    assert landlock.errata() <= frozenset(range(1, 33))
