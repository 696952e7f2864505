"""Cleaning what a build script prints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.sandbox.text import clean


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        (b"plain text", b"plain text"),
        (b"tab\tstays", b"tab\tstays"),
        ("schön".encode(), "schön".encode()),
        (b"\x1b[1;31mred\x1b[0m", b"red"),
        (b"\x1b[38;2;1;2;3mred", b"red"),
        (b"\x1b]0;title\x07after", b"after"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", b"link"),
        (b"\x1bPdevice\x1b\\after", b"after"),
        (b"\x1b(Bafter", b"after"),
        (b"\x1bcafter", b"after"),
        (b"a\rb\x08c\x00d\x7fe", b"abcde"),
        (b"\xc2\x9b31mred", b"31mred"),
        (b"\xff\xfea", b"a"),
        ("a\u202eb\u2066c\u200bd\u2028e".encode(), b"abcd e"),
        ("a\u00a0b".encode(), b"a b"),
        (b"\x1b", b""),
        (b"\x1b[", b""),
    ],
)
def test_only_what_is_visible_is_left(raw: bytes, cleaned: bytes) -> None:
    assert clean(raw) == cleaned


@given(st.binary())
def test_what_was_cleaned_is_harmless_text_and_stays_as_it_is(raw: bytes) -> None:
    cleaned = clean(raw)

    assert clean(cleaned) == cleaned
    assert all(character.isprintable() or character == "\t" for character in cleaned.decode())
