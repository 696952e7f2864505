"""The memory of a traced process is read as the kernel reads what it is given."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator

import pytest

from buildperm.tracer.recorder import memory

_PATH = b"/some/path"
_READ, _WRITE, _EXEC = 1, 2, 4  # PROT_*: mmap(2)


class Pages:
    """Two pages of this process."""

    def __init__(self) -> None:
        self._mapped = mmap.mmap(-1, 2 * mmap.PAGESIZE)
        self.first = ctypes.addressof(ctypes.c_char.from_buffer(self._mapped))
        self.second = self.first + mmap.PAGESIZE
        self._libc = ctypes.CDLL(None, use_errno=True)

    def put(self, at: int, content: bytes) -> None:
        ctypes.memmove(at, content, len(content))

    def protect(self, page: int, protection: int) -> None:
        told = self._libc.mprotect(
            ctypes.c_void_p(page), ctypes.c_size_t(mmap.PAGESIZE), protection
        )
        assert not told


@pytest.fixture
def pages() -> Iterator[Pages]:
    made = Pages()
    yield made
    for page in (made.first, made.second):
        made.protect(page, _READ | _WRITE)


@pytest.mark.parametrize(
    "protection", [_READ, _READ | _WRITE, _WRITE, _EXEC, _WRITE | _EXEC], ids=str
)
def test_a_path_is_read_whatever_its_page_is_for(pages: Pages, protection: int) -> None:
    """On x86 the kernel takes it from pages that are not for reading, and so do we."""
    pages.put(pages.first + 8, _PATH + b"\0")
    pages.protect(pages.first, protection)

    assert memory.c_string(os.getpid(), pages.first + 8) == _PATH


def test_what_goes_on_in_a_page_that_is_not_for_reading_is_read(pages: Pages) -> None:
    at = pages.second - 4
    pages.put(at, _PATH + b"\0")
    pages.protect(pages.second, _WRITE)

    assert memory.c_string(os.getpid(), at) == _PATH
    assert memory.read(os.getpid(), at, len(_PATH)) == _PATH


def test_where_nothing_is_mapped_nothing_is_read() -> None:
    assert memory.c_string(os.getpid(), 0) is None
    assert memory.c_string(os.getpid(), 1 << 63) is None
    assert memory.c_string(os.getpid(), (1 << 64) - 8) is None
    assert memory.read(os.getpid(), 8, 100) == b""
