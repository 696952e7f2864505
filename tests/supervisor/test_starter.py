"""The starter: a script that it starts is held and recorded as one that Python starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildperm.sandbox.machine import bubblewrap
from tests.bench import Bench, Ended, compile_c
from tests.programs import program_text

CONFINEMENT = program_text("tells_confinement.py")


@pytest.fixture(params=["portable", "within bubblewrap", "in a room"])
def either(request: pytest.FixtureRequest, bench: Bench) -> Bench:
    """Return a bench of each runtime."""
    bench.has_room = request.param == "in a room"
    if request.param != "portable":
        if not bubblewrap():
            pytest.skip("bubblewrap is not installed")
        bench.wrapper, bench.mounts = [os.fsencode(bubblewrap())], True
    return bench


def run_both(bench: Bench, placed: Path) -> list[Ended]:
    """Run a script without and with the starter."""
    found = []
    for has_starter in (False, True):
        bench.has_starter = has_starter
        found.append(bench.run(placed))
    return found


@pytest.mark.quick(1)
def test_a_script_inherits_the_same(either: Bench) -> None:
    either.limits = {"open_files": 100, "file_bytes": 1 << 20}
    either.environment["CARGO_FEATURE_A.B"] = "odd"

    without, started = run_both(either, either.script(CONFINEMENT))

    assert started.status == 0
    assert b"privileges 1 2" in started.stdout  # No new ones; SECCOMP_MODE_FILTER.
    assert b"RLIMIT_NOFILE (100, 100)" in started.stdout
    assert started.stdout.splitlines() == without.stdout.splitlines()
    assert started.stderr == without.stderr


@pytest.mark.quick(1)
def test_the_same_is_refused_and_recorded(either: Bench) -> None:
    secret = either.top / "secret"
    secret.write_text("")
    placed = either.script(
        "import os, socket\n"
        f"for attempt in (lambda: open({str(secret)!r}), lambda: os.unlink('/etc/passwd'),\n"
        "                lambda: socket.create_connection(('127.0.0.1', 9)),\n"
        "                lambda: open(os.environ['OUT_DIR'] + '/made', 'w')):\n"
        "    try:\n        attempt()\n    except OSError:\n        pass\n"
    )

    told = [
        {
            (event["type"], event.get("path"), event.get("errno"), bool(event.get("refused")))
            for event in ended.events
            if event["type"] in ("opened", "changed", "socket", "call", "executed")
        }
        for ended in run_both(either, placed)
    ]

    assert told[0] == told[1]
    assert ("opened", str(secret)) in {each[:2] for each in told[1]}
    assert secret.exists()


def test_its_job_server_and_nothing_else_is_passed_on(own_bench: Bench) -> None:
    reading, writing = os.pipe()
    other = os.open("/dev/null", os.O_RDONLY)
    own_bench.environment["CARGO_MAKEFLAGS"] = f"-j --jobserver-auth={reading},{writing}"
    placed = own_bench.script(CONFINEMENT)

    ended = own_bench.run(placed, pass_fds=(reading, writing, other))

    found = [0, 1, 2, *sorted((reading, writing))]
    assert f"descriptors {found}\n".encode() in ended.stdout
    assert b"input True\n" in ended.stdout
    for descriptor in (reading, writing, other):
        os.close(descriptor)


def test_a_script_that_cannot_be_executed_is_told_of(either: Bench) -> None:
    source = either.top / "program"
    source.write_text("neither a script nor a program\n")
    placed = either.install(source)

    without, started = run_both(either, placed)

    assert without.status == started.status == 1
    assert b"cannot start it: execute `" in started.stderr
    assert b"Exec format error" in started.stderr
    if not either.mounts:
        assert started.stderr == without.stderr


def test_python_does_the_work_of_a_starter_that_is_gone(
    own_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bench, "starter", lambda _: b"/nowhere/starter")

    ended = own_bench.run(own_bench.script("print('cargo::warning=ok')\n"))

    assert (ended.status, ended.stdout) == (0, b"cargo::warning=ok\n")


def test_a_script_starts_without_a_single_thing_to_load(own_bench: Bench) -> None:
    """Its first stop is its own execution: the starter itself is not in the recording."""
    source = "int main(void) { return 0; }"
    program = compile_c(source, own_bench.top / "nothing", "-static")

    ended = own_bench.run(own_bench.install(program))

    assert ended.status == 0
    programs = [event["program"] for event in ended.of("process")]
    assert [os.path.basename(each) for each in programs] == ["build_script_build-0.real"]
    assert not ended.of("opened")
