"""What differs between processors: registers of a call, instructions that a breakpoint covers.

aarch64 is simulated: the module is loaded as there, and ptrace(2) is played by a test.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import struct
from ctypes import c_int, c_size_t, c_uint64
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.tracer.recorder import elf, registers
from buildperm.tracer.recorder.ptrace import (
    GETREGSET,
    NT_ARM_SYSTEM_CALL,
    NT_PRSTATUS,
    SETREGSET,
)

X86 = [100 + index for index in range(27)]  # Each register holds 100 more than its index.
ARM = [100 + index for index in range(34)]


@pytest.mark.parametrize(
    ("code", "pushed"),
    [
        (b"\x50", 10),  # push rax
        (b"\x53", 5),  # push rbx
        (b"\x54", 19),  # push rsp: its value before
        (b"\x55", 4),  # push rbp
        (b"\x57", 14),  # push rdi
        (b"\x41\x50", 9),  # push r8
        (b"\x41\x54", 3),  # push r12
        (b"\x41\x57", 0),  # push r15
    ],
)
def test_a_push_of_x86_64_is_done_by_hand(code: bytes, pushed: int) -> None:
    after = registers.emulated(code + b"\x90" * 6, 5000, X86, "x86_64")

    assert after is not None
    assert after[1] == struct.pack("=Q", X86[pushed])
    assert {i: v for i, v in enumerate(after[0]) if v != X86[i]} == {
        16: 5000 + len(code),
        19: X86[19] - 8,
    }


def test_an_endbr64_is_passed() -> None:
    after = registers.emulated(b"\xf3\x0f\x1e\xfa\x41\x57\x41\x56", 5000, X86, "x86_64")

    assert after is not None
    assert after[1] == b""
    assert {i: v for i, v in enumerate(after[0]) if v != X86[i]} == {16: 5004}


@pytest.mark.parametrize("code", [b"\x31\xc0\xc3", b"\x48\x83\xec\x08", b"\xe9\x00\x00", b"\xcc"])
def test_other_instructions_of_x86_64_are_left_to_the_processor(code: bytes) -> None:
    assert registers.emulated(code.ljust(8, b"\x90"), 5000, X86, "x86_64") is None


def test_the_first_instructions_of_aarch64_are_done_by_hand() -> None:
    """Bti c, and `stp x29, x30, [sp, #-48]!`."""
    landing = registers.emulated(bytes.fromhex("5f2403d5") + bytes(4), 5000, ARM, "aarch64")
    storing = registers.emulated(bytes.fromhex("fd7bbda9") + bytes(4), 5000, ARM, "aarch64")

    assert landing is not None
    assert landing[0][32] == 5004
    assert landing[1] == b""
    assert storing is not None
    assert storing[1] == struct.pack("=2Q", ARM[29], ARM[30])
    assert {i: v for i, v in enumerate(storing[0]) if v != ARM[i]} == {31: ARM[31] - 48, 32: 5004}


@pytest.mark.parametrize("code", ["3f2303d5", "fd7b01a9", "000080d2"])
def test_other_instructions_of_aarch64_are_left_to_the_processor(code: str) -> None:
    """Paciasp has an effect, `stp` without write-back is another one, mov."""
    assert registers.emulated(bytes.fromhex(code) + bytes(4), 5000, ARM, "aarch64") is None


class SimulatedThread:
    """A thread in a system call, as ptrace(2) shows it on one processor or the other."""

    def __init__(self, machine: str) -> None:
        self.arguments = range(6) if machine == "aarch64" else (14, 13, 12, 7, 9, 8)
        self.result_at = 0 if machine == "aarch64" else 10  # x0; rax
        self.number_at = -1 if machine == "aarch64" else 15  # orig_rax
        self.registers = list(ARM if machine == "aarch64" else X86)
        self.number = 1  # What aarch64 has beside the registers.

    def request(self, kind: int, _tid: int, what: int, vector: int) -> int:
        """Get or set a set of registers."""
        base, size = (c_size_t * 2).from_address(vector)
        if what == NT_ARM_SYSTEM_CALL:
            assert (kind, size, self.number_at) == (SETREGSET, 4, -1)
            self.number = c_int.from_address(base).value
            return 0
        assert (what, size) == (NT_PRSTATUS, 8 * len(self.registers))
        words = (c_uint64 * len(self.registers)).from_address(base)
        if kind == SETREGSET:
            self.registers = list(words)
        else:
            assert kind == GETREGSET
            for at, value in enumerate(self.registers):
                words[at] = value
        return 0

    @property
    def call(self) -> tuple[int, list[int]]:
        """The call that the kernel is going to make: its number, its arguments."""
        number = self.number if self.number_at < 0 else self.registers[self.number_at]
        return number, [self.registers[place] for place in self.arguments]


@pytest.fixture(params=["x86_64", "aarch64"])
def simulated(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[ModuleType, SimulatedThread]:
    """Load the module as on another processor, with a thread to try it on."""
    machine = str(request.param)
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=machine))
    spec = importlib.util.spec_from_file_location("registers_elsewhere", registers.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    thread = SimulatedThread(machine)
    monkeypatch.setattr(module, "request", thread.request)
    return module, thread


MINUS_ONE = {-1, (1 << 64) - 1}


def test_a_call_that_is_skipped_is_not_made_and_has_the_result(
    simulated: tuple[ModuleType, SimulatedThread],
) -> None:
    module, thread = simulated
    before = list(thread.registers)

    assert module.skip_call(7, -13)

    assert thread.call[0] in MINUS_ONE
    assert thread.registers[thread.result_at] == (1 << 64) - 13
    changed = {at for at, value in enumerate(thread.registers) if value != before[at]}
    assert changed == {thread.result_at, thread.number_at} - {-1}


def test_a_call_that_was_replaced_leaves_no_trace(
    simulated: tuple[ModuleType, SimulatedThread],
) -> None:
    module, thread = simulated
    before = module.load(7)
    first = before[thread.arguments[0]]

    assert module.replace_call(7, before, 25, (first, 2, 3, 4, 5, 6))

    assert thread.call == (25, [first, 2, 3, 4, 5, 6])

    assert module.restore_call(7, before, 42)

    changed = {at for at, value in enumerate(thread.registers) if value != before[at]}
    assert changed == {thread.result_at}
    assert thread.registers[thread.result_at] == 42
    assert module.skip_call(7, 0)  # The number of the other call is not left anywhere.
    assert thread.call[0] in MINUS_ONE


def test_functions_are_found_where_the_loader_puts_them() -> None:
    import ctypes

    with open("/proc/self/maps") as maps:
        start, path = next(
            (int(line.split("-")[0], 16), line.split()[-1]) for line in maps if "libc.so" in line
        )
    image = elf.Image(os.fsencode(path))
    libc = ctypes.CDLL(None)

    for name in ("getenv", "secure_getenv", "qsort"):
        there = ctypes.cast(getattr(libc, name), ctypes.c_void_p).value
        assert there == start + image.function(name.encode()) - image.lowest()
    assert image.function(b"no_such_function") == 0
    assert not elf.Image(b"/proc/self/exe").is_static()
    image.close()


@pytest.mark.parametrize(
    "content", [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x01\x01" + bytes(99)]
)
def test_another_kind_of_file_is_no_image(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(ValueError, match="ELF"):
        elf.Image(os.fsencode(tmp_path / "file"))


def test_a_fifo_or_a_device_is_no_image(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(OSError, match="Invalid argument"):
        elf.Image(os.fsencode(tmp_path / "fifo"))
    with pytest.raises(OSError, match="Invalid argument"):
        elf.Image(b"/dev/zero")


@given(
    st.binary(min_size=58, max_size=58),
    st.lists(st.tuples(st.integers(0, 4000), st.binary(max_size=12)), max_size=8),
)
def test_a_hostile_image_is_one_without_functions(
    tmp_path_factory: pytest.TempPathFactory,
    header: bytes,
    changes: list[tuple[int, bytes]],
) -> None:
    path = tmp_path_factory.getbasetemp() / "image"
    content = bytearray(b"\x7fELF\x02\x01" + header + b"getenv\0" * 600)
    for at, change in changes:
        content[at + 6 : at + 6 + len(change)] = change
    content[32:48] = struct.pack("<QQ", 64, 64)  # both tables right behind the header
    content[54:62] = struct.pack("<HHHH", 56, 9, 64, 40)
    path.write_bytes(content)
    image = elf.Image(os.fsencode(path))

    assert image.function(b"getenv") >= 0
    assert image.lowest() is not None
    assert image.is_static() in (True, False)
    assert isinstance(image.interpreter(), bytes)
    with contextlib.suppress(ValueError):
        image.needed()
    image.close()
