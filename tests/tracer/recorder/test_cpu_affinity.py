"""Processors are handed over at stops, and nobody but the recorder can tell."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from buildperm.tracer.recorder.cpu_affinity import CpuAffinity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.tracer.recorded_child import Record

ALL = os.sched_getaffinity(0)

several = pytest.mark.skipif(len(ALL) < 2, reason="there is nothing to choose on one processor")


@pytest.fixture
def waiting() -> Iterator[int]:
    """Return a process that waits; it is not traced, so nothing can let it go on."""
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
        yield process.pid


@pytest.fixture
def handover(waiting: int) -> Iterator[CpuAffinity]:
    made = CpuAffinity()
    made.begin(waiting)
    yield made
    made.end()
    assert os.sched_getaffinity(0) == ALL


@several
def test_a_thread_is_held_to_the_recorders_processor_only_within_a_call(
    handover: CpuAffinity, waiting: int
) -> None:
    handover.enter(waiting)

    within = os.sched_getaffinity(waiting)
    assert len(within) == 1
    assert within == os.sched_getaffinity(0)

    handover.resume(waiting)

    assert os.sched_getaffinity(waiting) == ALL


@several
def test_the_scheduler_may_choose_another_processor_from_time_to_time(
    handover: CpuAffinity, waiting: int
) -> None:
    free = 0
    for _ in range(1000):
        handover.enter(waiting)
        free += os.sched_getaffinity(0) == ALL == os.sched_getaffinity(waiting)
        handover.resume(waiting)

    assert 5 <= free <= 50


@several
def test_what_is_made_by_a_thread_that_is_held_is_free(handover: CpuAffinity, waiting: int) -> None:
    os.sched_setaffinity(waiting, {min(ALL)})

    handover.made(waiting)

    assert os.sched_getaffinity(waiting) == ALL


@several
def test_the_end_leaves_everybody_free_and_alone(handover: CpuAffinity, waiting: int) -> None:
    handover.enter(waiting)

    handover.end()

    assert os.sched_getaffinity(waiting) == os.sched_getaffinity(0) == ALL
    handover.enter(waiting)
    assert os.sched_getaffinity(waiting) == ALL
    os.sched_setaffinity(waiting, {min(ALL)})
    handover.resume(waiting)
    handover.made(waiting)
    assert os.sched_getaffinity(waiting) == {min(ALL)}


def test_it_cannot_take_the_processor_from_the_recorder(waiting: int) -> None:
    handover = CpuAffinity()

    handover.begin(waiting)

    expected = os.SCHED_BATCH if len(ALL) > 1 else os.SCHED_OTHER
    assert os.sched_getscheduler(waiting) == expected


@pytest.mark.parametrize("policy", [os.SCHED_BATCH, os.SCHED_IDLE])
def test_who_knows_about_scheduling_is_left_alone(waiting: int, policy: int) -> None:
    found: list[object] = []

    def try_it() -> None:  # In a thread, which ends with its policy: there may be no way back.
        os.sched_setscheduler(0, policy, os.sched_param(0))
        handover = CpuAffinity()
        handover.begin(waiting)
        handover.enter(waiting)
        found.extend([os.sched_getscheduler(waiting), os.sched_getaffinity(waiting)])

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()

    assert found == [os.SCHED_OTHER, ALL]


@pytest.mark.parametrize("what", ["asking", "setting"])
def test_a_program_may_use_the_processors_that_it_always_could(
    record: Record, child: Callable[..., Path], what: str
) -> None:
    recorded = record(child("affinity"), what)

    assert recorded.stdout == b"0\n"
    assert recorded.recording.end.exit == 0


def test_a_thread_in_a_call_may_be_asked_about(
    record: Record, child: Callable[..., Path], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")

    recorded = record(child("affinity"), "blocked", tmp_path / "fifo")

    assert recorded.stdout == b"0\n"


def test_a_child_of_who_takes_the_processor_from_others_is_free(
    record: Record, child: Callable[..., Path]
) -> None:
    for _ in range(20):
        assert record(child("affinity"), "policy").stdout == b"0\n"


@several
def test_a_thread_that_executes_is_free(record: Record, child: Callable[..., Path]) -> None:
    """Linked so that nothing stops before it asks."""
    recorded = record(child("affinity", "-static"), "executing", "100")

    assert recorded.stdout == b"0\n"
