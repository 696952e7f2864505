"""Paths beside a place: by two runs elsewhere it is told whether they go by it."""

from __future__ import annotations

import stat

import pytest

from buildperm.cache.kept_result import TIMES_OF_FOLDERS
from buildperm.cache.moved_inputs import MovedInputs, goes_by, is_as_deep, is_as_plain

MOVED = {"WORKSPACE": (b"/co/a/ws", b"/co/b/ws")}
FOLDER_MODE = stat.S_IFDIR | 0o755


def absent(path: str) -> list[str | int]:
    return ["absent", path]


def content(path: str, digest: str) -> list[str | int]:
    return ["file", path, 0o644, digest, 1, 2, 3, 4, 5]


def test_what_lies_beside_both_is_written_from_there() -> None:
    joined = MovedInputs([absent("/co/a/.git")], [absent("/co/b/.git")], MOVED)

    assert joined.inputs == [absent("$WORKSPACE/../.git")]
    assert not joined.unexplained
    again = {"WORKSPACE": (b"/co/a/ws", b"/co/c/ws")}
    assert MovedInputs(joined.inputs, [absent("/co/c/.git")], again).inputs == joined.inputs


def test_what_may_go_by_the_place_or_not_counts_twice() -> None:
    joined = MovedInputs([absent("/co/.git")], [absent("/co/.git")], MOVED)

    assert joined.inputs == [absent("$WORKSPACE/../../.git"), absent("/co/.git")]
    assert goes_by(joined.inputs, "WORKSPACE")
    assert not is_as_deep(b"/co/a/ws", b"/deep/co/a/ws")


def test_the_system_and_what_lies_in_the_place_stay_as_they_are() -> None:
    same = [content("$WORKSPACE/a", "1"), content("/usr/lib/a", "2")]

    joined = MovedInputs(same, same, MOVED)

    assert joined.inputs == same
    assert not goes_by(joined.inputs, "WORKSPACE")


def test_folders_above_may_be_more_and_have_other_times() -> None:
    before: list[list[str | int]] = [["look", "/co/a", FOLDER_MODE, 3, 1]]
    now: list[list[str | int]] = [["look", "/co/b", FOLDER_MODE, 4, 2]]

    joined = MovedInputs(before, now, MOVED)

    assert joined.inputs == [["look", "$WORKSPACE/..", FOLDER_MODE, 3, 1]]
    assert joined.times == TIMES_OF_FOLDERS
    assert not goes_by(joined.inputs, "WORKSPACE")
    deeper = {"WORKSPACE": (b"/co/a/ws", b"/ws")}
    assert not MovedInputs(before, [], deeper).unexplained


@pytest.mark.parametrize(
    "now",
    [[], [content("/co/b/x", "2")], [content("/co/b/y", "1")], [absent("/co/b/x")]],
    ids=["nothing", "another content", "another distance", "another kind"],
)
def test_what_cannot_be_told_is_named(now: list[list[str | int]]) -> None:
    unexplained = MovedInputs([content("/co/a/x", "1")], now, MOVED).unexplained

    assert unexplained in ("/co/a/x", "/co/b/x")


def test_without_another_place_both_count() -> None:
    joined = MovedInputs([absent("/x")], [absent("/y")], {})

    assert joined.inputs == [absent("/x"), absent("/y")]


@pytest.mark.parametrize(
    ("then", "here", "is_plain"),
    [
        (b"/co/a", b"/Srv/b-2_x.y+z", True),
        (b"/co/a", b"/co/b c", False),
        (b"/co/a", b'/co/b"', False),
        (b"/co/a", b"/co/b\xc3\xbc", False),
        (b"/co/a", b"/co/$b", False),
        (b"/co/a b", b"/co/b", True),
        (b"/co/a b", b"/c o/b", True),
        (b"/co/a b", b"/co/b#", False),
    ],
)
def test_what_would_be_escaped_is_another_place(then: bytes, here: bytes, is_plain: bool) -> None:
    assert is_as_plain(then, here) == is_plain
