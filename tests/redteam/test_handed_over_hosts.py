"""Macros that attack the moment in which a supervisor takes their host over from the launcher.

Nothing that they do gets lost, gets further than it would elsewhere, or is made by anybody else.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import Bench, processes_with, wait_until
from tests.supervisor.macro_bench import LIBRARY
from tests.supervisor.quiet_bench import QuietBench, quiet_bench, read_if_there, tracer

EACCES = 13
LAUNCHER = "launcher"
PAUSE = 34
MANY = 12

pytestmark = pytest.mark.skipif(
    os.uname().machine != "x86_64", reason="elsewhere supervisors start all hosts"
)


@pytest.fixture
def quiet(own_bench: Bench) -> Iterator[QuietBench]:
    (own_bench.home / ".ssh").mkdir()
    (own_bench.home / ".ssh/id_rsa").write_text("key")
    with quiet_bench(own_bench) as made:
        yield made


@pytest.fixture
def key(own_bench: Bench) -> str:
    """Return the path of what nobody may read, and whoever runs the tests could."""
    return str(own_bench.home / ".ssh/id_rsa")


WAYS = [
    "open",
    "straight",  # Past libc.
    "thread",
    "fork",
    "vfork",
    "clone",  # Within the same memory.
    "rewritten",  # In code that can be written to.
    "registers",  # None of which may change.
    "handler",  # Within a wait that a signal has ended.
    "timers",  # With SIGCONT and other signals all the time.
    "mask",
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.quick(2)
def test_the_first_call_that_counts_is_refused_and_recorded(
    quiet: QuietBench, key: str, way: str
) -> None:
    told = quiet.expand("host", "nothing", f"{way} {key}", "nothing")

    answers = told.stdout.splitlines()
    assert answers == ["host: ready", "nothing: 0", f"{way}: {EACCES}", "nothing: 0"]
    assert quiet.opened()[key] == EACCES
    assert told.returncode == 1
    assert "it tried to read $HOME/.ssh/id_rsa" in told.stderr


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.quick(2)
def test_the_first_call_that_counts_works_where_it_may(quiet: QuietBench, way: str) -> None:
    told = quiet.expand("host", "nothing", f"{way} /etc/passwd", "nothing")

    assert told.stdout.splitlines()[2:] == [f"{way}: 0", "nothing: 0"], told.stderr
    assert quiet.opened()["/etc/passwd"] == 0
    assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize("way", ["open", "straight", "thread", "fork", "vfork", "timers"])
@pytest.mark.quick(1)
def test_a_constructor_is_seen_as_well(quiet: QuietBench, key: str, way: str) -> None:
    quiet.load(f"{way} {key}")

    told = quiet.expand("host", "nothing")

    assert told.stdout.splitlines() == ["host: ready", "nothing: 0"]
    assert quiet.opened()[key] == EACCES
    assert told.returncode == 1


def test_what_is_executed_is_recorded_and_held(quiet: QuietBench) -> None:
    refused = quiet.expand("host", "execute /usr/bin/id", "nothing")
    (event,) = [each for each in quiet.recorded("executed") if each.get("refused")]

    assert refused.stdout.splitlines()[1:] == [f"execute: {EACCES}", "nothing: 0"]
    assert event["path"] == os.path.realpath("/usr/bin/id")

    quiet.macros.grants = {"exec": ["id"]}
    done = quiet.expand("host", "execute /usr/bin/id")
    assert done.stdout.splitlines()[1:] == ["execute: gone"]
    assert [os.path.basename(each["program"]) for each in quiet.recorded("process")][1:] == ["id"]


def test_a_ring_is_refused_and_recorded(quiet: QuietBench) -> None:
    told = quiet.expand("host", "ring", "nothing")

    assert told.stdout.splitlines()[1:] == ["ring: 38", "nothing: 0"]
    assert [each["call"] for each in quiet.recorded("call")] == ["io_uring_setup"]


def test_a_call_of_another_architecture_is_refused_and_recorded(quiet: QuietBench) -> None:
    told = quiet.expand("host", "foreign", "nothing")

    assert told.stdout.splitlines()[1:] == ["foreign: 38", "nothing: 0"]
    assert [each["call"] for each in quiet.recorded("call")] == ["i386 call"]


def test_a_trap_of_its_own_is_its_own(quiet: QuietBench) -> None:
    told = quiet.expand("host", "variable HOME", "trap")

    assert told.stdout.splitlines()[1:] == ["variable: 0", "trap: gone"]
    (end,) = quiet.recorded("end")
    assert os.WTERMSIG(end["status"]) == signal.SIGTRAP


@pytest.mark.slow
def test_asking_all_the_time_hides_no_other_host_and_stops_no_clock(quiet: QuietBench) -> None:
    quiet.macros.limits = {"seconds": 4}

    told = quiet.expand("host", "host", "asking HOME", "end", "open /etc/passwd", "nothing")

    assert told.stdout.splitlines()[2:] == ["asking: gone", "open: 0", "nothing: 0"]
    assert "seconds = 4" in told.stderr


@pytest.mark.slow
def test_many_at_once_are_taken_over_each(quiet: QuietBench, key: str) -> None:
    steps = [step for _ in range(MANY) for step in ("host", f"timers {key}")]

    told = quiet.expand(*steps, "all")

    answers = told.stdout.splitlines()
    assert answers[1::2] == [f"timers: {EACCES}"] * MANY
    assert answers[-1] == "all:" + " 0" * MANY
    for number in range(1, MANY + 1):
        folder = LIBRARY if number == 1 else f"{LIBRARY}%{number}"
        assert quiet.opened(folder) == {key: EACCES}


@contextlib.contextmanager
def _pestering(quiet: QuietBench, *signals: int) -> Iterator[None]:
    """Send signals to all hosts, again and again."""
    ended = threading.Event()

    def pester() -> None:
        while not ended.is_set():
            for pid in quiet.hosts():
                for number in signals:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)

    thread = threading.Thread(target=pester)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.slow
def test_nobody_makes_it_go_on_before_its_time(quiet: QuietBench, key: str) -> None:
    with _pestering(quiet, signal.SIGCONT, signal.SIGSTOP, signal.SIGCONT):
        for _ in range(5):
            told = quiet.expand("host", f"open {key}", "open /etc/passwd", "nothing")

            assert told.stdout.splitlines()[1:] == [f"open: {EACCES}", "open: 0", "nothing: 0"]
            assert quiet.opened() == {key: EACCES, "/etc/passwd": 0}


def test_one_that_is_killed_meanwhile_fails_the_expansion_and_nothing_else(
    quiet: QuietBench,
) -> None:
    go = quiet.macros.bench.package / "go"
    running = quiet.start("host", f"wait {go}", *["open /etc/passwd"] * 3)
    host = quiet.host()
    go.touch()
    wait_until(lambda: tracer(host) != LAUNCHER)
    with contextlib.suppress(ProcessLookupError):
        os.kill(host, signal.SIGKILL)

    stdout, _ = running.communicate(timeout=60)
    assert stdout.splitlines()[0] == "host: ready"
    assert not quiet.hosts()


def test_without_the_server_it_ends(quiet: QuietBench, key: str) -> None:
    """Without a tracer a host does not go on, and it does not wait for ever."""
    server = _server(quiet)
    go = quiet.macros.bench.package / "go"
    running = quiet.start("host", f"wait {go}", f"open {key}", "nothing")
    quiet.host()
    os.kill(server, signal.SIGSTOP)  # It gets the host, and does not take it over.
    go.touch()
    host = quiet.host()
    assert wait_until(lambda: tracer(host) == "")
    assert wait_until(lambda: _call(host) == str(PAUSE))
    time.sleep(0.5)
    assert _call(host) == str(PAUSE)
    os.kill(server, signal.SIGKILL)

    stdout, _ = running.communicate(timeout=60)
    assert stdout.splitlines()[1:] == ["open: gone", "nothing: gone"]
    assert running.returncode == 1
    assert not quiet.hosts()


def _call(pid: int) -> str:
    """Return the number of the system call that a process is in, `running` where in none."""
    return Path(f"/proc/{pid}/syscall").read_text().split()[0]


def _server(quiet: QuietBench) -> int:
    (found,) = [
        pid
        for pid in processes_with(quiet.macros.server.encode())
        if b"--serve" in read_if_there(f"/proc/{pid}/cmdline")
    ]
    return found


def test_with_the_launcher_it_ends(quiet: QuietBench) -> None:
    running = quiet.start("host", "nothing", "sleep 60000")
    quiet.host()
    running.kill()
    running.wait()

    assert wait_until(lambda: not quiet.hosts())
