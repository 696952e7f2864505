"""The processes of a recording as an outline."""

from __future__ import annotations

import signal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.presentation.process_outline import (
    duration_text,
    lineage,
    outline,
    status_text,
)
from buildperm.tracer.recording.event import RecordedProcess
from buildperm.tracer.recording_format import REUSED

MS = 1_000_000


def process(
    pid: int,
    parent: int,
    *argv: bytes,
    times: tuple[int, int] | None = None,
    status: int | None = None,
) -> RecordedProcess:
    """Make a process; its program is its first argument in /bin."""
    program = b"/bin/" + argv[0]
    started, ended = times or (None, None)
    return RecordedProcess(pid, parent, program, argv, started, ended, status)


TREE = (
    process(10, 0, b"build-script", times=(0, 90 * MS), status=1 << 8),
    process(11, 10, b"env", b"sh", times=(MS, 2 * MS)),
    process(11 + REUSED, 11, b"sh", b"-c", b"x; exec cc", times=(2 * MS, 3 * MS)),
    process(14, 11 + REUSED, b"x"),
    process(11 + 2 * REUSED, 11 + REUSED, b"cc", times=(3 * MS, 40 * MS), status=0),
    process(12, 11 + 2 * REUSED, b"cc1", b"a b.c", times=(4 * MS, 30 * MS), status=signal.SIGSEGV),
    process(13, 10, b"git", b"log"),
)


def test_each_program_stands_below_what_started_it() -> None:
    assert [f"{node.branch}{node.command}" for node in outline(TREE)] == [
        "build-script",
        "├─ sh -c 'x; exec cc'",
        "│  ├─ x",
        "│  └─ cc",
        "│     └─ cc1 'a b.c'",
        "└─ git log",
    ]


def test_what_became_another_program_at_once_stands_for_both() -> None:
    shell = outline(TREE)[1]

    assert shell.keys == (11, 11 + REUSED)
    assert [each.argv for each in shell.earlier] == [(b"env", b"sh")]
    assert shell.duration_ns == 2 * MS
    assert [node.is_top for node in outline(TREE)] == [True, *[False] * 5]


def test_each_says_how_it_ended_and_how_long_it_took() -> None:
    assert [(node.ending, node.duration_ns) for node in outline(TREE)] == [
        ("exit 1", 90 * MS),
        ("became cc", 2 * MS),
        ("", None),
        ("exit 0", 37 * MS),
        ("killed by SIGSEGV", 26 * MS),
        ("", None),
    ]
    failed = [node.program for node in outline(TREE) if node.has_failed]
    assert failed == ["build-script", "cc1"]
    assert [node.pid for node in outline(TREE)] == [10, 11, 14, 11, 12, 13]


def test_lineage_leads_to_the_build_script() -> None:
    processes = {each.pid: each for each in TREE}

    assert lineage(processes, [14]) == {14, 11 + REUSED, 11, 10}
    assert lineage(processes, []) == lineage(processes, [999]) == set()


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=12))
def test_each_process_comes_once_whatever_its_parents_are(made: list[tuple[int, int]]) -> None:
    processes = {pid: process(pid, parent, b"x") for pid, parent in made}

    nodes = outline(processes.values())

    assert sorted(key for node in nodes for key in node.keys) == sorted(processes)
    for before, after in pairwise(nodes):
        assert len(after.guides) <= len(before.guides) + 1
        assert len(after.branch) == 3 * len(after.guides)


def test_a_chain_of_ten_thousand_is_no_trouble() -> None:
    chain = [process(number, number - 1, b"x") for number in range(1, 10_001)]

    assert len(outline(chain)[-1].guides) == 9_999


@pytest.mark.parametrize(
    ("status", "text"),
    [(0, "exit 0"), (256, "exit 1"), (9, "killed by SIGKILL"), (139, "killed by SIGSEGV"),
     (64, "killed by SIGRTMAX"), (60, "killed by signal 60")],
)  # fmt: skip
def test_a_wait_status_in_words(status: int, text: str) -> None:
    assert status_text(status) == text


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [(40_000, "0.0 ms"), (1_240_000, "1.2 ms"), (12_400_000, "12 ms"), (1_234_000_000, "1.23 s"),
     (123_000_000_000, "2 min 3 s"), (59_999_999_999, "60.00 s")],
)  # fmt: skip
def test_a_length_of_time_in_words(duration_ns: int, text: str) -> None:
    assert duration_text(duration_ns) == text
