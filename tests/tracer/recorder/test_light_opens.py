"""Which opens of compilers need no look, and which programs are compilers.

The rest is tested with the whole supervisor: `tests/supervisor/test_light_observation.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildperm.tracer.recorder.light_opens import AtEntry, LightOpens, is_compiler, is_glibc
from buildperm.tracer.recorder.process_tree import Process

LOADING = Process(1, 0, 0, None)
LOADING.light = AtEntry(0, b"")
READING = os.O_RDONLY | os.O_CLOEXEC


def opens(*, readable: bool = True, writable: bytes = b"") -> LightOpens:
    return LightOpens(1, lambda _: readable, lambda path: bool(writable) and path == writable)


@pytest.mark.parametrize(
    "name",
    [
        *("cc1", "cc1plus", "cc1obj", "clang", "clang-14", "clang++", "clang++-18.1"),
        "x86_64-linux-gnu-clang-18",
    ],
)
def test_compilers_are_known_by_their_names(name: str) -> None:
    assert is_compiler(b"/usr/bin/" + name.encode())


@pytest.mark.parametrize(
    "name",
    [
        *("python3.11", "perl", "make", "cmake", "dash", "rustc", "cc1.real", "gcc.py", "objcopy"),
        *("ld.so", "ld-linux-x86-64.so.2", "ccache", "", "12", "-12"),
        *("x86_64-linux-gnu-gcc-12", "g++", "as", "ld", "collect2", "lto1", "ar", "ranlib"),
    ],
)
def test_other_programs_are_none(name: str) -> None:
    assert not is_compiler(b"/usr/bin/" + name.encode())


@pytest.mark.parametrize("name", ["libc.so.6", "libc-2.31.so"])
def test_glibc_is_known_by_its_name(name: str) -> None:
    assert is_glibc(b"/usr/lib/x86_64-linux-gnu/" + name.encode())


@pytest.mark.parametrize(
    "path",
    [
        *("/usr/lib/x86_64-linux-musl/libc.so", "/lib/ld-musl-x86_64.so.1", "/usr/lib/libc.so"),
        *("/lib/libc.musl-x86_64.so.1", "/usr/lib/libc-client.so.2007e", "/usr/lib/libcap.so.2"),
    ],
)
def test_programs_with_another_c_library_are_not_changed(path: str) -> None:
    assert not is_glibc(path.encode())


def test_only_files_of_the_system_that_may_be_read_need_no_look(tmp_path: Path) -> None:
    real = os.fsencode(os.path.realpath("/usr/bin/env"))
    link = tmp_path / "link"
    link.symlink_to("/usr/bin/env")

    assert opens().is_of_no_interest(LOADING, real, READING)
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_CREAT, os.O_RDONLY | os.O_TRUNC):
        assert not opens().is_of_no_interest(LOADING, real, flags)
    assert not opens(readable=False).is_of_no_interest(LOADING, real, READING)
    assert not opens(writable=real).is_of_no_interest(LOADING, real, READING)
    for path in (b"usr/bin/env", b"/usr/../" + os.fsencode(tmp_path), b"/usr/local/lib/x.so"):
        assert not opens().is_of_no_interest(LOADING, path, READING)
    assert not opens().is_of_no_interest(LOADING, os.fsencode(link), READING)


def test_what_is_opened_once_the_program_runs_may_be_a_plugin() -> None:
    running = Process(1, 0, 0, None)

    assert not opens().is_of_no_interest(running, b"/usr/lib/x", READING)


def test_a_run_counts_as_light_once_something_may_have_gone_unseen() -> None:
    light = opens()

    light.is_of_no_interest(LOADING, b"/tmp/x", READING)
    assert not light.is_used
    light.is_of_no_interest(LOADING, b"/usr/lib/x", READING)
    assert light.is_used
