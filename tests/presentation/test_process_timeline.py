"""The timeline: where bars and marks lie, whatever a recording says about times."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.presentation.crate_account import JudgedAccess, Standing
from buildperm.presentation.process_timeline import (
    WIDTH,
    TimeAxis,
    marks,
    process_rows,
    with_tokens,
)
from buildperm.tracer.recording.event import RecordedProcess
from buildperm.tracer.recording.reader import End

_MOMENTS = st.none() | st.integers(-5, 1 << 62)
_PROCESSES = st.builds(
    RecordedProcess,
    st.integers(1, 8),
    st.integers(0, 8),
    st.binary(max_size=5),
    st.lists(st.binary(max_size=5), max_size=3).map(tuple),
    _MOMENTS,
    _MOMENTS,
    st.none() | st.integers(0, 0xFFFF),
)


def end(duration_ns: int) -> End:
    return End(0, 0, duration_ns, 0, 0, "", "")


def process(pid: int, parent: int, started: int, ended: int) -> RecordedProcess:
    return RecordedProcess(pid, parent, b"/bin/sh", (b"sh", b"-c", b"a b"), started, ended, 0)


def judged(target: str, first_ns: int, standing: Standing) -> JudgedAccess:
    access = Access(Kind.READ, target, Outcome.DONE, 1, first_ns, first_ns, ())
    return JudgedAccess(access, standing, "", Risk.HIGH, "")


def test_the_axis_begins_with_the_first_program() -> None:
    run = [process(1, 0, 1_000, 5_000), process(2, 1, 2_000, 3_000)]
    axis = TimeAxis.of(run, end(9_000))

    rows, left_out = process_rows(run, axis, {}, 10)

    assert [row.bar for row in rows] == [(0.0, 1000.0), (250.0, 250.0)]
    assert [row.command for row in rows] == ["sh -c 'a b'"] * 2
    assert rows[1].branch == "└─ "
    assert rows[0].started == "0.0 ms"
    assert left_out == 0


def test_an_older_recording_has_no_times() -> None:
    run = [RecordedProcess(1, 0, b"/a", (b"a",))]

    rows, _ = process_rows(run, TimeAxis.of(run, end(9_000)), {}, 10)

    assert (rows[0].bar, rows[0].started, rows[0].duration) == (None, "", "")


@given(st.lists(_PROCESSES, max_size=12), st.integers(-1, 1 << 62), st.integers(0, 9))
def test_bars_lie_on_the_axis_and_each_process_counts(
    run: list[RecordedProcess], duration_ns: int, most: int
) -> None:
    rows, left_out = process_rows(run, TimeAxis.of(run, end(duration_ns)), {}, most)

    assert len(rows) + left_out == len({each.pid for each in run})
    assert len(rows) <= most
    for row in rows:
        if row.bar is not None:
            start, length = row.bar
            assert 0 <= start < WIDTH
            assert length > 0
            assert start + length <= WIDTH + 0.1


@given(st.lists(st.integers(-5, 1 << 62), max_size=9), st.integers(-1, 1 << 62))
def test_marks_lie_on_the_axis(moments: list[int], duration_ns: int) -> None:
    made = marks(
        [judged("/a", at, Standing.UNDECIDED) for at in moments],
        TimeAxis.of((), end(duration_ns)),
    )

    assert len(made) == len(moments)
    assert all(0 <= mark.at <= WIDTH for mark in made)


def test_what_is_worst_is_drawn_last_and_named() -> None:
    axis = TimeAxis(0, 4_000_000)

    made = marks(
        [judged("/bad", 1_000_000, Standing.UNDECIDED), judged("/good", 0, Standing.GRANTED)], axis
    )

    assert [mark.label for mark in made] == [
        "0.0 ms: read /good",
        "1.0 ms: read /bad, not granted",
    ]
    assert [mark.at for mark in made] == [0.0, 250.0]


def test_folders_in_command_lines_have_short_names() -> None:
    places = {"WORKSPACE": b"/w", "OUT_DIR": b"/w/target/out", "HOME": b"/"}

    told = with_tokens("cc -I/w/target/out/include -o '/w/a b' /w /elsewhere/w", places)

    assert told == "cc -I$OUT_DIR/include -o '$WORKSPACE/a b' /w /elsewhere/w"
