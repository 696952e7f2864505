"""What the kernel starts a program with, whatever a hostile program says of that."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest

from buildperm.tracer.recorder import program_interpreter

LONG = b"/" + b"x" * 300
MOST = 1 << 64


def elf(bits: int, path: bytes, *, table: int = 64, place: int = 200, number: int = 1) -> bytes:
    """Return a program with one row in its table, which names a loader."""
    if bits == 64:
        head = struct.pack("<16x2HI3QI6H", 2, 62, 1, 0, table % MOST, 0, 0, 64, 56, number, 0, 0, 0)
        row = struct.pack("<2I6Q", 3, 0, place % MOST, 0, 0, len(path), len(path), 1)
    else:
        head = struct.pack("<16x2H5I6H", 2, 3, 1, 0, table, 0, 0, 52, 32, number, 0, 0, 0)
        row = struct.pack("<8I", 3, place, 0, 0, len(path), len(path), 0, 1)
    ident = b"\x7fELF" + bytes((2 if bits == 64 else 1, 1, 1))
    return ((ident.ljust(16, b"\0") + head[16:]).ljust(64, b"\0") + row).ljust(200, b"\0") + path


PROGRAMS = {
    "script": (b"#!/bin/sh\n", b"/bin/sh"),
    "with blanks": (b"#! \t/bin/sh\t-e x\n", b"/bin/sh"),
    "with a NUL": (b"#!/bin/sh\0/x\n", b"/bin/sh"),
    "with a NUL first": (b"#!\0/bin/sh\n", b""),
    "without a line": (b"#!/bin/sh", b"/bin/sh"),
    "of nothing": (b"#!\n", b""),
    "relative": (b"#!sh\n", b"sh"),
    "longer than the kernel reads": (b"#!" + LONG + b"\n", LONG[:254]),
    "64 bits": (elf(64, b"/lib/ld\0"), b"/lib/ld"),
    "64 bits, with a NUL": (elf(64, b"/lib/ld\0more\0"), b"/lib/ld"),
    "64 bits, table behind its end": (elf(64, b"/lib/ld\0", table=-1), b""),
    "64 bits, path behind its end": (elf(64, b"/lib/ld\0", place=-1), b""),
    "64 bits, no table": (elf(64, b"/lib/ld\0", number=0), b""),
    "32 bits": (elf(32, b"/lib/ld-32\0"), b"/lib/ld-32"),
    "32 bits, table behind its end": (elf(32, b"/lib/ld\0", table=0xFFFFFFFF), b""),
    "cut off": (elf(64, b"/lib/ld\0")[:63], b""),
    "text": (b"exit 0\n", b""),
    "nothing": (b"", b""),
}


@pytest.mark.parametrize("kind", PROGRAMS)
def test_what_a_program_names_is_found(tmp_path: Path, kind: str) -> None:
    content, named = PROGRAMS[kind]
    path = tmp_path / "program"
    path.write_bytes(content)

    assert program_interpreter.of(os.fsencode(path)) == named


def test_the_loader_of_a_real_program_is_there() -> None:
    found = program_interpreter.of(os.fsencode(os.path.realpath(sys.executable)))

    assert not found or os.path.exists(found)  # Some interpreters are linked statically.


def test_what_is_no_file_names_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path, tmp_path / "pipe", tmp_path / "gone"):
        assert program_interpreter.of(os.fsencode(path)) == b""
