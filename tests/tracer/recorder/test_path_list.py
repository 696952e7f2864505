"""The code that tools run to list paths: it makes each call once, and crashes in none."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from typing import TYPE_CHECKING

import pytest

from buildperm.tracer.recorder import path_list

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="code of x86-64")

OPENAT, STAT, READLINK, NEWFSTATAT, ACCESS = 257, 4, 89, 262, 21
HERE = -100 & 0xFFFFFFFF

# mov %rdi,%rax; mov %rsi,%rdi; mov %rdx,%rsi; mov %rcx,%rdx; mov %r8,%r10; movabs $…,%r11;
# call *%r11; ret
_CALL = b"\x48\x89\xf8\x48\x89\xf7\x48\x89\xd6\x48\x89\xca\x4d\x89\xc2\x49\xbb"
_RETURN = b"\x41\xff\xd3\xc3"


class Listing:
    """Page and region in this process, and a function that makes calls by them."""

    def __init__(self, key: int = 1, folder: bytes = b"/folder") -> None:
        size = path_list.SIZE + mmap.PAGESIZE
        self.memory = mmap.mmap(-1, size, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        page = path_list.page(key, folder)
        self.memory[: len(page)] = page
        function = (address + path_list.FUNCTION_AT).to_bytes(8, "little")
        code = _CALL + function + _RETURN
        self.memory[path_list.SIZE : path_list.SIZE + len(code)] = code
        self.call = ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_ulong] * 5)(address + path_list.SIZE)

    def head(self) -> tuple[int, ...]:
        """Return bytes of the list, calls that were begun, and those accounted for."""
        return path_list.HEAD.unpack_from(self.memory, path_list.PAGE_SIZE)[:3]

    def entries(self) -> set[bytes]:
        """Return what is listed."""
        begin = path_list.PAGE_SIZE + path_list.HEAD.size
        return path_list.paths(self.memory[begin : begin + self.head()[0]])


@pytest.fixture
def room() -> Iterator[int]:
    """Return where there is one page, with nothing behind it."""
    memory = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None)
    assert libc.mprotect(ctypes.c_void_p(address + mmap.PAGESIZE), mmap.PAGESIZE, 0) == 0
    yield address
    libc.mprotect(ctypes.c_void_p(address + mmap.PAGESIZE), mmap.PAGESIZE, 3)


def _text(path: bytes) -> tuple[int, ctypes.Array[ctypes.c_char]]:
    made = ctypes.create_string_buffer(path)
    return ctypes.addressof(made), made


def test_what_was_opened_and_what_was_not_are_told_apart(tmp_path: Path) -> None:
    listing = Listing()
    there = os.fsencode(tmp_path / "there")
    (tmp_path / "there").write_bytes(b"x")
    (at, kept), (gone_at, kept_too) = _text(there), _text(there + b"/../gone")

    file = listing.call(OPENAT, HERE, at, 0, 0)
    assert listing.call(OPENAT, HERE, gone_at, 0, 0) == -errno.ENOTDIR
    room = ctypes.create_string_buffer(512)
    assert listing.call(STAT, at, ctypes.addressof(room), 0, 0) == 0
    assert listing.call(READLINK, at, ctypes.addressof(room), 512, 0) == -errno.EINVAL

    assert os.read(file, 9) == b"x"
    os.close(file)
    kinds = {(entry[0], path_list.path(entry)) for entry in listing.entries()}
    assert kinds == {
        (path_list.OPENED, there),
        (path_list.FAILED, there + b"/../gone"),
        (STAT, there),
        (READLINK, there),
    }
    assert listing.head()[1] == listing.head()[2] == 4
    assert kept.value == there
    assert kept_too.value


def test_a_relative_path_stands_behind_its_folder(tmp_path: Path) -> None:
    at, _kept = _text(b"../up/none")

    known, unknown = Listing(), Listing(folder=b"")
    for listing in (known, unknown):
        assert listing.call(ACCESS, at, 0, 0, 0) == -errno.ENOENT
        assert listing.call(OPENAT, HERE, at, 0, 0) == -errno.ENOENT

    assert {path_list.path(entry) for entry in known.entries()} == {b"/folder/../up/none"}
    assert unknown.entries() == set()  # These calls have been made without the key.
    assert unknown.head()[1] == unknown.head()[2]


BAD = {"nowhere": 0x10, "not mapped": 0x7000_0000_0000, "no address": 1 << 63}


@pytest.mark.parametrize("at", BAD)
def test_a_bad_pointer_is_no_crash(at: str) -> None:
    listing = Listing()

    for number, first, second in ((OPENAT, HERE, BAD[at]), (STAT, BAD[at], 0)):
        assert listing.call(number, first, second, 0, 0) == -errno.EFAULT

    assert listing.entries() == set()
    assert listing.head()[1] == listing.head()[2]


def test_a_text_without_an_end_is_left_to_the_kernel(room: int) -> None:
    listing = Listing()
    ctypes.memset(room, ord("x"), mmap.PAGESIZE)

    assert listing.call(ACCESS, room, 0, 0, 0) == -errno.ENAMETOOLONG
    assert listing.call(ACCESS, room + 4000, 0, 0, 0) == -errno.EFAULT
    assert listing.call(READLINK, room, room, 0, 0) == -errno.EINVAL  # Before any path is read.
    ctypes.memset(room + mmap.PAGESIZE - 1, 0, 1)
    assert listing.call(ACCESS, room + 4000, 0, 0, 0) == -errno.ENOENT  # Up to the very end.

    assert {len(entry) for entry in listing.entries()} == {1 + len(b"/folder/") + 95}
    assert listing.head()[1] == listing.head()[2]


def test_other_calls_are_made_and_not_listed(tmp_path: Path) -> None:
    listing = Listing()
    at, _kept = _text(os.fsencode(tmp_path / "made"))
    folder = os.open(tmp_path, os.O_RDONLY)
    relative, _kept_too = _text(b"made")

    made = listing.call(OPENAT, HERE, at, os.O_CREAT | os.O_WRONLY, 0o600)
    other = listing.call(OPENAT, folder, relative, 0, 0)
    room = ctypes.create_string_buffer(512)
    empty, _empty = _text(b"")
    assert listing.call(NEWFSTATAT, folder, relative, ctypes.addressof(room), 0) == 0
    assert listing.call(NEWFSTATAT, folder, empty, ctypes.addressof(room), 0x1000) == 0

    assert listing.entries() == set()
    assert listing.head()[1] == listing.head()[2]
    for file in (folder, made, other):
        os.close(file)


def test_nothing_is_listed_where_there_is_no_room_or_no_key() -> None:
    at, _kept = _text(b"/none")
    without, full = Listing(key=0), Listing()
    while full.head()[0] < (1 << 20) - (1 << 17):
        full.call(ACCESS, _long[0], 0, 0, 0)
    for listing in (without, full):
        before = -1
        while listing.head()[0] != before:
            before = listing.head()[0]
            assert listing.call(ACCESS, _long[0], 0, 0, 0) == -errno.ENOENT
            assert listing.call(ACCESS, at, 0, 0, 0) == -errno.ENOENT
        assert listing.head()[1] == listing.head()[2]
    assert without.entries() == set()
    assert (1 << 20) - (1 << 16) - 5000 < full.head()[0] < 1 << 20


_long = _text(b"/none/" + b"/".join([b"x" * 200] * 19))
