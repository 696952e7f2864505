"""Threads are pinned to the recorder's CPU within calls, and only the recorder can tell."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from buildperm.tracer.recorder import inner_loop
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


@pytest.fixture(params=["python", "inner"])
def affinity(waiting: int, request: pytest.FixtureRequest) -> Iterator[CpuAffinity]:
    made = CpuAffinity()
    if request.param == "inner":
        started = inner_loop.start(request.getfixturevalue("inner_loop"), {})
        assert started is not None
        made = started.affinity
    made.enable(waiting)
    yield made
    made.disable()
    assert os.sched_getaffinity(0) == ALL


@several
def test_a_thread_is_pinned_to_the_recorders_cpu_only_within_a_call(
    affinity: CpuAffinity, waiting: int
) -> None:
    affinity.resume_call(waiting)

    within = os.sched_getaffinity(waiting)
    assert len(within) == 1
    assert within == os.sched_getaffinity(0)

    affinity.resume(waiting)

    assert os.sched_getaffinity(waiting) == ALL


@several
def test_the_scheduler_may_choose_another_cpu_from_time_to_time(
    affinity: CpuAffinity, waiting: int
) -> None:
    free = 0
    for _ in range(1000):
        affinity.resume_call(waiting)
        free += os.sched_getaffinity(0) == ALL == os.sched_getaffinity(waiting)
        affinity.resume(waiting)

    assert 5 <= free <= 50


@several
def test_a_new_thread_is_unpinned(affinity: CpuAffinity, waiting: int) -> None:
    os.sched_setaffinity(waiting, {min(ALL)})

    affinity.unpin_new(waiting)

    assert os.sched_getaffinity(waiting) == ALL


@several
def test_disabling_unpins_everything_and_pins_nothing_any_more(
    affinity: CpuAffinity, waiting: int
) -> None:
    affinity.resume_call(waiting)

    affinity.disable()

    assert os.sched_getaffinity(waiting) == os.sched_getaffinity(0) == ALL
    affinity.resume_call(waiting)
    assert os.sched_getaffinity(waiting) == ALL
    os.sched_setaffinity(waiting, {min(ALL)})
    affinity.resume(waiting)
    affinity.unpin_new(waiting)
    assert os.sched_getaffinity(waiting) == {min(ALL)}


def test_a_script_does_not_preempt_the_recorder(waiting: int) -> None:
    affinity = CpuAffinity()

    affinity.enable(waiting)

    expected = os.SCHED_BATCH if len(ALL) > 1 else os.SCHED_OTHER
    assert os.sched_getscheduler(waiting) == expected


@pytest.mark.parametrize("policy", [os.SCHED_BATCH, os.SCHED_IDLE])
def test_nothing_is_pinned_under_another_scheduling_policy(waiting: int, policy: int) -> None:
    found: list[object] = []

    def try_it() -> None:  # In a thread, which ends with its policy: there may be no way back.
        os.sched_setscheduler(0, policy, os.sched_param(0))
        affinity = CpuAffinity()
        affinity.enable(waiting)
        affinity.resume_call(waiting)
        found.extend([os.sched_getscheduler(waiting), os.sched_getaffinity(waiting)])

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()

    assert found == [os.SCHED_OTHER, ALL]


@pytest.mark.parametrize("what", ["asking", "setting"])
def test_a_program_may_use_the_cpus_that_it_always_could(
    record: Record, child: Callable[..., Path], what: str
) -> None:
    recorded = record(child("affinity"), what)

    assert recorded.stdout == b"0\n"
    assert recorded.recording.end.exit == 0


def test_a_thread_in_a_call_has_the_affinity_that_it_always_had(
    record: Record, child: Callable[..., Path], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")

    recorded = record(child("affinity"), "blocked", tmp_path / "fifo")

    assert recorded.stdout == b"0\n"


@pytest.mark.quick(1)
def test_a_child_of_a_thread_with_a_policy_of_its_own_is_unpinned(
    record: Record, child: Callable[..., Path]
) -> None:
    for _ in range(20):
        assert record(child("affinity"), "policy").stdout == b"0\n"


@several
@pytest.mark.quick(1)
def test_a_thread_that_executes_is_unpinned(record: Record, child: Callable[..., Path]) -> None:
    """Linked so that nothing stops before it asks."""
    recorded = record(child("affinity", "-static"), "executing", "100")

    assert recorded.stdout == b"0\n"
