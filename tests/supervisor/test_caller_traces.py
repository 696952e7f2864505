"""What a script is told of the caller: nothing; and nothing else is changed."""

from __future__ import annotations

import pytest

from buildperm.supervisor.caller_traces import left_out


def test_what_tells_of_the_caller_is_left_out() -> None:
    told = {b"PWD": b"/a", b"OLDPWD": b"/b", b"_": b"/c", b"SHLVL": b"2", b"MAKELEVEL": b"1"}
    kept = {b"CC": b"gcc", b"LANG": b"C", b"SHELL": b"/bin/sh", b"CARGO_MAKEFLAGS": b""}

    assert left_out(told | kept, b"/here") == kept | {b"PWD": b"/here"}
    assert left_out({}, b"/here") == {b"PWD": b"/here"}


def test_what_somebody_has_said_something_about_stays_as_it_is() -> None:
    given = {b"PWD": b"/a", b"COLUMNS": b"80", b"LINES": b"5", b"MAKEFLAGS": b"w -j4"}

    assert left_out(given, b"/here", ["COLUMNS"]) == {b"PWD": b"/here", b"COLUMNS": b"80"}
    assert left_out(given, b"/here", ["PWD", "MAKE*"]) == {b"PWD": b"/a", b"MAKEFLAGS": b"w -j4"}
    assert left_out(given, b"/here", ["**"]) == given


@pytest.mark.parametrize("value", [b"", b"w", b" -j4 --jobserver-auth=3,4", b"w -j --jobs 4"])
def test_make_that_was_told_nothing_is_left_out(value: bytes) -> None:
    assert left_out({b"MAKEFLAGS": value}, b"/") == {b"PWD": b"/"}


@pytest.mark.parametrize("value", [b"k", b"s -j4", b"-n --jobserver-auth=3,4"])
def test_what_make_was_told_stays_as_it_is(value: bytes) -> None:
    assert left_out({b"MAKEFLAGS": value}, b"/") == {b"PWD": b"/", b"MAKEFLAGS": value}
