"""What commands wrote, kept to be taken back."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from buildperm.workflow.written_history import FileChange, WrittenHistory

NAME = "Cargo.toml"


def change(before: bytes | None, after: bytes | None) -> list[FileChange]:
    return [FileChange(NAME, before, after)]


def test_changes_are_numbered_and_those_of_one_command_are_one(tmp_path: Path) -> None:
    history = WrittenHistory(tmp_path / "history")

    first = history.record("learn", change(b"0", b"1"))
    assert first is not None
    assert history.record("learn", change(b"1", b"1")) is None
    history.record("learn", [*change(b"1", b"2"), FileChange("x", None, b"\xff")], first.number)
    history.record("review", change(b"2", b"3"))

    learnt, reviewed = history.read()
    assert learnt.files == (FileChange(NAME, b"0", b"2"), FileChange("x", None, b"\xff"))
    assert (learnt.number, reviewed.number, reviewed.command) == (1, 2, "review")


def test_a_new_change_ends_what_could_be_taken_again(tmp_path: Path) -> None:
    history = WrittenHistory(tmp_path)
    history.record("learn", change(b"0", b"1"))
    history.record("learn", change(b"1", b"2"))
    history.mark(history.read()[1], undone=True)

    history.record("review", change(b"1", b"5"))

    assert [(each.number, each.is_undone) for each in history.read()] == [(1, False), (3, False)]


def test_what_nobody_wrote_is_left_out_and_nothing_fails(tmp_path: Path) -> None:
    for number, text in enumerate(["", "{", "[]", '{"version": 9}', '{"version": 1}', "\x00"]):
        (tmp_path / f"{number:06}.json").write_text(text)
    history = WrittenHistory(tmp_path)

    assert history.read() == []
    assert history.record("learn", change(b"0", b"1")) is not None
    assert WrittenHistory(Path("/proc/nowhere")).record("learn", change(b"0", b"1")) is None


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    history = WrittenHistory(tmp_path)
    for number in range(103):
        history.record("learn", change(b"%d" % number, b"%d" % (number + 1)))

    kept = history.read()
    assert len(kept) == 100
    assert kept[-1].number == 103


@given(st.none() | st.binary(), st.none() | st.binary())
def test_every_byte_is_kept(before: bytes | None, after: bytes | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = WrittenHistory(Path(folder))
        history.record("learn", change(before, after))

        assert [each.files for each in history.read()] == (
            [tuple(change(before, after))] if before != after else []
        )
