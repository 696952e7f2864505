"""Hosts of macros that a launcher starts: which stay without a supervisor, and which get one."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from buildperm.tracer.recording import reader
from tests.bench import Bench, wait_until
from tests.supervisor.macro_bench import LIBRARY
from tests.supervisor.quiet_bench import QuietBench, quiet_bench, tracer

SCHEMA = Path(reader.__file__).parent / "recording.schema.json"
LAUNCHER = "launcher"
RECVMSG = 47
STREAMS = {"0": "/dev/null", "1": "pipe", "2": "pipe"}

pytestmark = pytest.mark.skipif(
    os.uname().machine != "x86_64", reason="elsewhere supervisors start all hosts"
)


@pytest.fixture
def quiet(own_bench: Bench) -> Iterator[QuietBench]:
    with quiet_bench(own_bench) as made:
        yield made


def waiting(quiet: QuietBench) -> str:
    """Return a step that waits until `go` is called."""
    return f"wait {quiet.macros.bench.package}/go"


def go(quiet: QuietBench) -> None:
    (quiet.macros.bench.package / "go").touch()


def test_a_host_that_does_nothing_has_no_supervisor_and_a_whole_recording(
    quiet: QuietBench,
) -> None:
    running = quiet.start("host", "nothing", waiting(quiet))
    host = quiet.host()
    traced_by = tracer(host)
    go(quiet)

    assert running.communicate(timeout=120) == ("host: ready\nnothing: 0\n", "")
    assert (running.returncode, traced_by) == (0, LAUNCHER)
    path = quiet.folder / LIBRARY / "buildperm/recording.jsonl"
    read = reader.read(path)
    assert (read.header.subject, read.header.crate) == ("macro", "macros")
    assert read.header.consumer == reader.Consumer("app", "app", "0.1.0", "")
    assert (read.end.exit, read.end.unseen, read.end.voided) == (0, "", "")
    (process,) = quiet.recorded("process")
    assert process["argv"] == [str(quiet.macros.host), str(quiet.macros.library)]
    assert process["pid"] == host
    assert not quiet.opened()
    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
    for line in path.read_text().splitlines():
        validator.validate(json.loads(line))
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_is_held_as_by_a_supervisor(quiet: QuietBench) -> None:
    """Compared with one that was handed over at once, and with what a supervisor starts."""
    quiet.macros.environment = {"APP_TOKEN": "secret", "PLAIN": "told"}
    told = []
    for steps in (["host"], ["host", "open /"]):
        running = quiet.start(*steps, waiting(quiet))
        host = quiet.host()
        assert running.stdout is not None
        for _ in steps:
            running.stdout.readline()
        assert (tracer(host) == LAUNCHER) == (steps == ["host"])
        told.append(_facts(host))
        go(quiet)
        running.communicate(timeout=120)
        (quiet.macros.bench.package / "go").unlink()
    supervised = quiet.macros.start(quiet.request())
    host = quiet.host()
    assert wait_until(lambda: _waits(host))
    told.append(_facts(host))
    supervised.end()

    facts, after, usual = told
    for each in (facts, after):
        # One filter more, which stops what would make threads and processes.
        assert int(str(each.pop("Seccomp_filters"))) == int(str(usual["Seccomp_filters"])) + 1
        # The bridge has brought pipes, and its socket is closed.
        assert each.pop("descriptors") == STREAMS | {"4": "pipe", "5": "pipe"}
    del usual["Seccomp_filters"]
    assert usual.pop("descriptors") == STREAMS | {"3": "socket"}
    assert facts == usual == after
    assert "APP_TOKEN" not in str(usual)
    assert usual["NoNewPrivs"] == 1


def _waits(host: int) -> bool:
    """Tell whether a host waits for its compiler."""
    return Path(f"/proc/{host}/syscall").read_text().startswith(f"{RECVMSG} 0x3 ")


def _facts(host: int) -> dict[str, object]:
    """Tell what a host got, but for numbers that differ each time."""
    folder = Path(f"/proc/{host}")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    names = ("CapInh", "CapPrm", "CapEff", "CapAmb", "SigBlk", "Uid", "Gid", "Groups")
    found: dict[str, object] = {name: status[name].split() for name in (*names, "Umask")}
    # posix_spawn(3) of glibc leaves its own two signals, 32 and 33, ignored.
    found["SigIgn"] = int(status["SigIgn"], 16) & ~(3 << 31)
    found |= {name: int(status[name]) for name in ("NoNewPrivs", "Seccomp", "Seccomp_filters")}
    found["limits"] = (folder / "limits").read_text()
    found["folder"] = os.readlink(folder / "cwd")
    variables = (folder / "environ").read_bytes().split(b"\0")
    found["environment"] = sorted(re.sub(rb"scratch/[^/]+", b"scratch", each) for each in variables)
    found["leads"] = (folder / "stat").read_text().rpartition(")")[2].split()[3] == str(host)
    kinds = {each.name: os.readlink(each).split(":")[0] for each in (folder / "fd").iterdir()}
    found["descriptors"] = kinds
    # Recorder and launcher pin it for a moment, while one of its calls is looked at.
    everywhere = os.sched_getaffinity(0)
    assert wait_until(lambda: os.sched_getaffinity(host) == everywhere)
    return found


def test_variables_that_it_reads_are_recorded(quiet: QuietBench) -> None:
    quiet.macros.environment = {"PLAIN": "told"}

    told = quiet.expand("host", "variable PLAIN", "variable PLAIN", "variable ABSENT")

    assert (told.returncode, told.stderr) == (0, "")
    events = {event["name"]: event for event in quiet.recorded("environment")}
    assert events["PLAIN"].get("count") == 2
    assert not events["ABSENT"].get("present")


def test_a_withheld_secret_fails_the_compilation(quiet: QuietBench) -> None:
    quiet.macros.environment = {"APP_TOKEN": "t0ps3cret"}

    told = quiet.expand("host", "variable APP_TOKEN")

    assert told.returncode == 1
    assert "APP_TOKEN" in told.stderr
    assert "macros 1.0.0, for app 0.1.0" in told.stderr


@pytest.mark.slow
def test_more_variables_than_are_kept_get_a_supervisor(quiet: QuietBench) -> None:
    told = quiet.expand("host", "variables 3000")

    assert (told.returncode, told.stdout) == (0, "host: ready\nvariables: 0\n")
    names = {event["name"] for event in quiet.recorded("environment")}
    assert {f"VARIABLE_OF_MANY_{number:032}" for number in range(3000)} <= names


def test_what_it_prints_is_passed_on_cleaned(quiet: QuietBench) -> None:
    told = quiet.expand("host", "print \x1b[31mred", "nothing")
    at_the_end = quiet.expand("host", "print {last}", "exit 0")

    assert told.stdout.startswith("host: ready\nprint: 0\nnothing: 0")
    assert "red" in told.stderr
    assert "\x1b" not in told.stderr
    assert "last}" in at_the_end.stderr
    assert "{last}" not in at_the_end.stderr  # Cargo would take it for a message.


@pytest.mark.slow
def test_one_that_works_for_long_is_watched_by_a_supervisor(quiet: QuietBench) -> None:
    quiet.macros.limits = {"seconds": 3}

    told = quiet.expand("host", "work 20000")

    assert told.stdout == "host: ready\nwork: gone\n"
    assert "it ran too long" in told.stderr or "seconds = 3" in told.stderr
    assert told.returncode == 1


@pytest.mark.slow
def test_one_that_sleeps_is_ended_as_well(quiet: QuietBench) -> None:
    quiet.macros.limits = {"seconds": 3}

    told = quiet.expand("host", "sleep 60000")

    assert told.stdout == "host: ready\nsleep: gone\n"
    assert "seconds = 3" in told.stderr


@pytest.mark.slow
def test_one_that_only_waits_stays_without(quiet: QuietBench) -> None:
    quiet.macros.limits = {"seconds": 3}
    running = quiet.start("host", "nothing", waiting(quiet), "nothing")
    host = quiet.host()

    ended = wait_until(lambda: not Path(f"/proc/{host}").exists(), 6)
    traced_by = tracer(host)
    go(quiet)

    assert (ended, traced_by) == (False, LAUNCHER)
    assert running.communicate(timeout=120)[0] == "host: ready\nnothing: 0\nnothing: 0\n"


@pytest.mark.parametrize("verb", ["nothing", "open /etc/passwd", "print told"])
@pytest.mark.quick(1)
def test_a_launcher_sleeps_while_nothing_happens(quiet: QuietBench, verb: str) -> None:
    running = quiet.start("host", verb, "end", "host", verb, waiting(quiet))
    assert running.stdout is not None
    for _ in range(4):
        running.stdout.readline()
    assert wait_until(lambda: len(quiet.hosts()) == 1)
    assert wait_until((quiet.folder / LIBRARY / "buildperm/recording.jsonl").exists)

    before = _processor_seconds(running.pid)
    time.sleep(2)
    spent = _processor_seconds(running.pid) - before
    go(quiet)

    assert running.communicate(timeout=120)[1] in ("", "told\ntold\n")
    assert spent < 0.2


def _processor_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def test_memory_that_is_limited_is_watched_from_the_start(quiet: QuietBench) -> None:
    quiet.macros.limits = {"memory_bytes": 1 << 30}
    running = quiet.start("host", waiting(quiet))
    traced_by = tracer(quiet.host())
    go(quiet)

    running.communicate(timeout=120)
    assert traced_by not in ("", LAUNCHER)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
@pytest.mark.quick(1)
def test_how_it_ends_is_recorded(quiet: QuietBench, number: int) -> None:
    told = quiet.expand("host", f"die {number:d}")

    assert told.stdout == "host: ready\ndie: gone\n"
    (end,) = quiet.recorded("end")
    assert (os.WTERMSIG(end["status"]), end["exit"]) == (number, 0)
    (host,) = quiet.recorded("process")
    assert host["status"] == end["status"]


def test_several_hosts_of_a_call_have_a_recording_each(quiet: QuietBench) -> None:
    told = quiet.expand("host", "host", "host", "open /etc/passwd", "all", "end", "nothing")

    assert told.stdout.splitlines()[3:] == ["open: 0", "all: 0 0 0", "nothing: 0"]
    assert not quiet.opened()
    assert not quiet.opened(f"{LIBRARY}%2")
    assert quiet.opened(f"{LIBRARY}%3") == {"/etc/passwd": 0}


@pytest.mark.slow
def test_scratch_folders_are_used_again(quiet: QuietBench) -> None:
    quiet.expand("host", "end", "host", "end", "host")
    quiet.expand("host")

    scratch = quiet.macros.bench.target / "buildperm-compile/scratch"
    assert len(os.listdir(scratch)) <= 3


def test_without_a_server_a_supervisor_starts_it(quiet: QuietBench) -> None:
    quiet.macros.server = ""
    told = quiet.expand("host", "open /etc/passwd")

    # The launcher of this bench knows of no interpreter.
    assert "there is no supervisor to run macros in" in told.stderr


def test_a_request_that_the_server_refuses_is_one_for_a_supervisor(quiet: QuietBench) -> None:
    quiet.macros.limits = {"memory_bytes": 1 << 30}

    told = quiet.expand("host", "open /etc/passwd", "nothing")

    assert (told.returncode, told.stdout) == (0, "host: ready\nopen: 0\nnothing: 0\n"), told.stderr
    assert quiet.opened()["/etc/passwd"] == 0
