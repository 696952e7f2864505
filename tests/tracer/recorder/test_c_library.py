"""C types without `ctypes`: they are what they are there, in bytes and in behaviour."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Any

import pytest

from buildperm.tracer.recorder import c_library

TYPES = [name for name in c_library.__all__ if name.startswith("c_")]


@pytest.mark.parametrize("name", TYPES)
def test_a_type_is_as_large_as_the_one_that_ctypes_calls_so(name: str) -> None:
    assert ctypes.sizeof(getattr(c_library, name)) == ctypes.sizeof(getattr(ctypes, name))


@pytest.mark.parametrize("name", sorted(set(TYPES) - {"c_char_p", "c_void_p"}))
@pytest.mark.parametrize("value", [0, 1, -1, 200, 1 << 31, 1 << 63])
def test_a_number_wraps_as_it_does_in_ctypes(name: str, value: int) -> None:
    ours, theirs = getattr(c_library, name), getattr(ctypes, name)

    assert ours(value).value == theirs(value).value


def test_a_buffer_holds_what_it_was_made_of() -> None:
    text: Any = c_library.create_string_buffer(b"a\0b", 5)

    assert text.raw == b"a\0b\0\0"
    assert c_library.create_string_buffer(3).raw == b"\0\0\0"
    with pytest.raises(ValueError, match="too long"):
        c_library.create_string_buffer(b"abc", 2)


@pytest.mark.parametrize("name", ["libc", "short_libc"])
def test_a_function_says_why_it_failed(name: str) -> None:
    library = getattr(c_library, name)
    c_library.set_errno(0)

    assert library.getpid() == os.getpid()
    assert library.close(-1) == -1
    assert c_library.get_errno() == errno.EBADF
    with pytest.raises(AttributeError):
        library.no_such_function  # noqa: B018  # To look it up is the test.
