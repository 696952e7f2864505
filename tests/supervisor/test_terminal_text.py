"""Cleaning what a build script prints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.supervisor.terminal_text import clean, disarmed


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


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"::set-output name=a::b", b"%3A%3Aset-output name=a::b"),
        (b" \t ::stop-commands::x", b" \t %3A%3Astop-commands::x"),
        (b"a ##[add-mask]b", b"a %23%23[add-mask]b"),
        (b"##vso[task.setvariable variable=a]b", b"%23%23vso[task.setvariable variable=a]b"),
        (b"##teamcity[x]##[y]", b"%23%23teamcity[x]%23%23[y]"),
        (b"###[x]", b"%23%23#[x]"),
        (b"####[x]", b"##%23%23[x]"),
        (b"## A title [1]", b"## A title [1]"),
        (b"std::vec, a:: b", b"std::vec, a:: b"),
        (b"#[derive(Debug)]", b"#[derive(Debug)]"),
        (b"", b""),
    ],
)
def test_what_a_ci_service_would_obey_is_disarmed(line: bytes, shown: bytes) -> None:
    assert disarmed(line) == shown
    assert disarmed(shown) == shown


@given(st.text("#[:a ").map(str.encode))
def test_nothing_that_is_disarmed_is_a_command(line: bytes) -> None:
    shown = disarmed(line)
    assert b"##[" not in shown
    assert b"##a[" not in shown
    assert not shown.lstrip().startswith(b"::")
