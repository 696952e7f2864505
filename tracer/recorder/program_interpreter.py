"""What the kernel starts a program with: after `#!`, or in its ELF header.

No call of anybody opens it. The file may be a hostile script's, and change meanwhile.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import os

from buildperm.tracer.recorder.location import open_regular_file

_LINE_MOST = 256  # BINPRM_BUF_SIZE: execve(2), "Interpreter scripts".
_HEAD_MOST = 4096
_TABLE_MOST = 1 << 16
_PATH_MOST = 4096
_OFFSET_MOST = 1 << 62  # pread(2): more is no place in a file.
_LOADER = 3  # PT_INTERP: elf(5)
# By class, of what is little-endian: where the header has the table's place, the size of its rows
# and their number; where a row has a place and a size; how long a number is. elf(5)
_LAYOUTS = {1: (28, 42, 44, 4, 16, 4), 2: (32, 54, 56, 8, 32, 8)}


def of(path: bytes) -> bytes:
    """Return the path that a program names, as it names it; empty if there is none."""
    try:
        file = open_regular_file(path)
        try:
            head = os.read(file, _HEAD_MOST)
            return of_script(head) if head.startswith(b"#!") else _loader(file, head)
        finally:
            os.close(file)
    except (OSError, ValueError):
        return b""


def of_script(head: bytes) -> bytes:
    """Return what stands after `#!` at the begin of a file, without an argument.

    The kernel reads to the first blank or NUL: fs/binfmt_script.c.
    """
    if not head.startswith(b"#!"):
        return b""
    line = head[2:_LINE_MOST].split(b"\n", 1)[0].replace(b"\t", b" ").strip(b" ")
    return line.split(b" ", 1)[0].split(b"\0", 1)[0]


def _loader(file: int, head: bytes) -> bytes:
    """Return PT_INTERP of a program.

    Raises:
        OSError: It cannot be read.
    """
    layout = _LAYOUTS.get(head[4]) if len(head) >= 64 else None
    if layout is None or not head.startswith(b"\x7fELF") or head[5] != 1:
        return b""
    table_at, size_at, number_at, row_place, row_size, width = layout

    def number(content: bytes, at: int, size: int) -> int:
        return int.from_bytes(content[at : at + size], "little")

    size = number(head, size_at, 2)
    whole = min(size * number(head, number_at, 2), _TABLE_MOST)
    table = os.pread(file, whole, min(number(head, table_at, width), _OFFSET_MOST))
    for place in range(0, len(table) - row_size - width + 1, max(size, 1)):
        if number(table, place, 4) == _LOADER:
            start = min(number(table, place + row_place, width), _OFFSET_MOST)
            length = min(number(table, place + row_size, width), _PATH_MOST)
            return os.pread(file, length, start).split(b"\0", 1)[0]
    return b""
