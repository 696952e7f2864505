"""Lines that have Cargo watch files: judged many at a time, passed on and recorded as ever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.supervisor.directive_gate import DirectiveGate
from buildperm.supervisor.watched_files import TOLD_MOST, WatchedFiles

if TYPE_CHECKING:
    from buildperm.supervisor.session import SessionPackage

NEW, OLD = b"cargo::rerun-if-changed=", b"cargo:rerun-if-changed="


def package(*denied: str) -> SessionPackage:
    return {
        "crate": "crate",
        "id": "crate 0.1.0",
        "name": "crate",
        "version": "0.1.0",
        "source": "",
        "checksum": "",
        "read": [],
        "write": [],
        "exec": [],
        "net": [],
        "env": [],
        "directives": [],
        "deny": {"directives": list(denied)},
    }


def judged(
    lines: Sequence[bytes], *, one_by_one: bool, about: SessionPackage
) -> tuple[bytes, list[tuple[str, str, str]]]:
    """Return what passes the gate, and what it records."""
    told: list[tuple[str, str, str]] = []
    gate = DirectiveGate(about, {}, (), lambda *each: told.append(each))
    if one_by_one:
        return b"".join(piece for line in lines for piece in gate.pass_on([line])), told
    return b"".join(gate.pass_on(lines)), told


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
    about = package()

    assert judged(lines, one_by_one=False, about=about) == judged(
        lines, one_by_one=True, about=about
    )


@pytest.mark.parametrize("beginning", [NEW, OLD])
def test_what_is_denied_is_looked_for_in_each_line(beginning: bytes) -> None:
    about = package("rerun-if-changed=/etc/**")

    passed, told = judged([beginning + b"a", beginning + b"/etc/x"], one_by_one=False, about=about)

    assert passed == beginning + b"a\n"
    assert [verdict for *_, verdict in told] == ["free", "refused"]


def test_of_very_many_lines_all_pass_and_the_rest_is_counted() -> None:
    lines = [NEW + b"f%d" % number for number in range(20_000)]

    passed, told = judged(lines, one_by_one=False, about=package())
    _, other = judged([*lines[:-1], NEW + b"other"], one_by_one=False, about=package())

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
