"""The notation: reversible, printable, and without a meaning anywhere else."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from buildperm.tracer.notation import decode, encode, renewed


@given(st.binary())
@example(b"%41")
@example("\u202egnp".encode())
@example(b"\xed\xa0\x80")  # a surrogate, which UTF-8 does not have
def test_decoding_is_the_exact_inverse_of_encoding(raw: bytes) -> None:
    assert decode(encode(raw)) == raw


@given(st.binary())
def test_what_is_written_is_one_printable_line(raw: bytes) -> None:
    text = encode(raw)

    assert text.isprintable()
    assert not set(text) & set("*?[]{}$\\\"'`")
    assert json.loads(f'"{text}"') == text
    assert text.encode().decode() == text


@given(st.binary(), st.binary())
def test_two_texts_are_written_alike_only_if_they_are_the_same(one: bytes, other: bytes) -> None:
    assert (encode(one) == encode(other)) is (one == other)


@given(st.text(st.characters(categories=["L", "N"])))
def test_letters_and_digits_of_any_language_stay_readable(text: str) -> None:
    assert encode(text.encode()) == text


@pytest.mark.parametrize("text", ["%", "%4", "%4g", "100%", "%+1", "% 1"])
def test_an_incomplete_escape_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        decode(text)


def test_what_an_earlier_version_wrote_is_renewed_and_nothing_else_is() -> None:
    assert renewed("/a/\ufe0fv%2A\u3164") == encode("/a/\ufe0fv*\u3164".encode())
    assert renewed("/a/\x1b[2J") == "/a/\x1b[2J"
    assert renewed("/a/\u202e") == "/a/\u202e"


@given(st.binary())
def test_what_this_version_wrote_stays_as_it_is(raw: bytes) -> None:
    assert renewed(encode(raw)) == encode(raw)
