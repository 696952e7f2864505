"""Lines that have Cargo watch files: judged many at a time, passed on and recorded as ever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.supervisor.directive_gate import DirectiveGate
from buildperm.supervisor.watched_files import KEY, TOLD_MOST, WatchedFiles, may_match
from tests.supervisor.gate_packages import package

if TYPE_CHECKING:
    from buildperm.supervisor.session import SessionPackage

NEW, OLD = b"cargo::rerun-if-changed=", b"cargo:rerun-if-changed="


def judged(
    lines: Sequence[bytes], about: SessionPackage
) -> tuple[bytes, list[tuple[str, str, str]]]:
    """Return what passes the gate, and what it records."""
    told: list[tuple[str, str, str]] = []
    gate = DirectiveGate(about, {}, (), lambda *each: told.append(each))
    return b"".join(gate.pass_on(lines)), told


SINGLY = package(f"{KEY}=/a/path/that/no/test/prints")
"""With this denial each line is looked at by itself, and none is refused for it."""


LINES = st.lists(
    st.one_of(
        st.builds(bytes.__add__, st.sampled_from((NEW, OLD)), st.binary(max_size=12)),
        st.sampled_from(
            (
                b"",
                b"words",
                b"cargo::warning=w",
                b"cargo::rustc-link-arg=-x",
                NEW + b"a ",
                b" " + NEW,
            )
        ),
        st.binary(max_size=8),
    ).filter(lambda line: b"\n" not in line),
    max_size=12,
)


@given(LINES)
def test_many_lines_are_judged_as_each_of_them_is(lines: Sequence[bytes]) -> None:
    assert judged(lines, package()) == judged(lines, SINGLY)


@pytest.mark.parametrize("beginning", [NEW, OLD])
def test_what_is_denied_is_looked_for_in_each_line(beginning: bytes) -> None:
    about = package("rerun-if-changed=/etc/**")

    passed, told = judged([beginning + b"a", beginning + b"/etc/x"], about)

    assert passed == beginning + b"a\n"
    assert [verdict for *_, verdict in told] == ["free", "refused"]


def test_of_very_many_lines_all_pass_and_the_rest_is_counted() -> None:
    lines = [NEW + b"f%d" % number for number in range(20_000)]

    passed, told = judged(lines, package())
    _, other = judged([*lines[:-1], NEW + b"other"], package())

    assert passed.split(b"\n")[:-1] == lines
    assert TOLD_MOST <= len(told) < len(lines)
    key, value, verdict = told[-1]
    assert (key, verdict) == ("rerun-if-changed", "free")
    assert value.startswith(f"({len(lines) - len(told) + 1:,} more files, sha256 ")
    assert other[-1] != told[-1]  # Whoever compares two runs sees that they differ.


def test_the_order_of_lines_stays() -> None:
    lines = [NEW + b"a", b"said", OLD + b"b", NEW + b"c", b"said"]
    watched = WatchedFiles(lambda *_: None, "free")

    passed = [line + b"\n" if line else text for line, text in watched.grouped(lines)]

    assert b"".join(passed) == b"\n".join(lines) + b"\n"


VISIBLE = st.text(st.characters(min_codepoint=0x20), max_size=8).map(str.encode)
WATCHING = st.builds(
    b"".join,
    st.tuples(
        st.sampled_from((NEW, OLD)),
        st.one_of(VISIBLE, st.binary(max_size=8)),
        st.sampled_from(
            (b"", b"\r", b" ", b"\t", b"\0", b"\xc3", b"\xc2\xa0", b"\x1b[0m", b"[a]%")
        ),
    ),
).filter(lambda line: b"\n" not in line)


@given(st.lists(WATCHING, max_size=20))
def test_a_strange_line_among_many_is_judged_as_it_is_alone(lines: Sequence[bytes]) -> None:
    assert judged(lines, package()) == judged(lines, SINGLY)


def grouped(lines: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    return list(WatchedFiles(lambda *_: None, "free").grouped(lines))


@pytest.mark.parametrize(
    "line", [NEW + b"a", OLD + b"a", NEW + "ä/日本".encode(), NEW + b"pages/[id]/{$x}'.ts", NEW]
)
def test_a_line_of_visible_characters_is_taken_with_others(line: bytes) -> None:
    assert grouped([line] * 3) == [(b"", (line + b"\n") * 3)]


@pytest.mark.parametrize(
    "line", [NEW + b"a ", NEW + b"a\t", NEW + "a\u3000".encode(), b" " + NEW + b"a"]
)
def test_a_line_that_would_be_trimmed_is_looked_at(line: bytes) -> None:
    """And those around it are not."""
    good = NEW + b"a"

    assert grouped([good, line, good]) == [(b"", good + b"\n"), (line, b""), (b"", good + b"\n")]


def test_line_ends_of_windows_vanish_from_all_at_once() -> None:
    assert grouped([NEW + b"a\r", NEW + b"b\r"]) == [(b"", NEW + b"a\n" + NEW + b"b\n")]


def test_half_a_character_vanishes_and_is_not_joined_with_its_other_half() -> None:
    lines = [NEW + b"\xc3", NEW + b"\xa9", NEW + b"\xc3 \xa9 b"]

    assert grouped(lines) == [(b"", NEW + b"\n" + NEW + b"\n" + NEW + b"  b\n")]


@pytest.mark.parametrize(
    ("denied", "expected"),
    [
        ("rerun-if-changed=/etc/**", True),
        ("rerun-if-changed=**", True),
        ("rerun-*", True),
        ("**", True),
        ("*=/etc/x", True),
        ("rerun-if-env-changed=A", False),
        ("rustc-env=PATH", False),
        ("rustc-*", False),
    ],
)
def test_a_denial_of_something_else_costs_nothing(denied: str, expected: bool) -> None:
    assert may_match(["rustc-cfg=x", denied]) is expected
