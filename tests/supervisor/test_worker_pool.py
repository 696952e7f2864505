"""The workers of a fork server: each script is supervised as if an interpreter were started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from buildperm.cargo.fork_server_client import ForkServerClient
from buildperm.supervisor.fork_request import SERVER
from buildperm.supervisor.session import dump
from buildperm.supervisor.worker_pool import SCRIPTS
from tests.bench import Bench, filtered, processes_with, wait_until
from tests.programs import program_text

TELLING = program_text("tells_surroundings.py")
CONFINEMENT = program_text("tells_confinement.py")


@pytest.fixture(name="pooled")
def _pooled(own_bench: Bench) -> Iterator[Bench]:
    """Start a fork server for the bench, and wait until it is ready."""
    (own_bench.top / "session").write_bytes(dump(own_bench.session("enforcing")))
    with ForkServerClient(str(own_bench.top / "session")) as server:
        own_bench.environment |= server.environment
        assert wait_until((folder_of(own_bench) / os.fsdecode(SCRIPTS)).exists)
        yield own_bench


def folder_of(bench: Bench) -> Path:
    return Path(bench.environment[SERVER])


def supervisors(bench: Bench) -> list[int]:
    """List the processes of the supervisors so far, in the order of their beginnings."""
    return [line["pid"] for line in bench.progress_lines() if line["event"] == "started"]


def told(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave of a recording what is the same in another run."""
    return [
        {name: value for name, value in event.items() if name not in ("at", "pid")}
        for event in events
        if event["type"] in ("opened", "executed", "directive", "socket", "changed")
    ]


@pytest.mark.parametrize("status", [0, 3])
def test_a_run_is_the_same_as_without(pooled: Bench, status: int) -> None:
    placed = pooled.script(TELLING)
    folder = pooled.environment.pop(SERVER)
    pooled.environment["CARGO_FEATURE_A.B"] = "odd"
    pooled.environment["LD_LIBRARY_PATH"] = "/nowhere"
    pooled.environment["CARGO_FEATURE_STATUS"] = str(status)
    found = []
    for variables in ({}, {SERVER: folder}, {SERVER: folder}):
        pooled.environment |= variables
        process = pooled.start(placed, stdin=subprocess.DEVNULL, umask=0o27)
        said = process.communicate(timeout=60)
        found.append((process.returncode, said, told(pooled.events())))
        assert (supervisors(pooled)[-1] != process.pid) == bool(variables)

    assert found[0] == found[1] == found[2]
    assert found[2][0] == status
    assert b"said\n" in found[2][1][1]
    if not status:
        assert b"cargo::warning=27" in found[2][1][0]


def test_a_worker_starts_the_next_script_as_it_started_the_first(pooled: Bench) -> None:
    placed = pooled.script(CONFINEMENT)
    session = dump(pooled.session("enforcing"))
    reading, writing = os.pipe()
    os.write(writing, b"+")
    pooled.environment["CARGO_MAKEFLAGS"] = f"-j --jobserver-auth={reading},{writing}"

    runs = [pooled.run(placed, pass_fds=(reading, writing)) for _ in range(8)]

    assert len(set(supervisors(pooled))) < len(runs)  # Those that wait take turns.
    del pooled.environment[SERVER]
    runs.append(pooled.run(placed, pass_fds=(reading, writing)))
    assert {run.status for run in runs} == {0}
    assert len({run.stdout for run in runs}) == 1
    for run in runs:
        assert told(run.events) == told(runs[0].events)
    assert (pooled.top / "session").read_bytes() == session
    os.close(reading)
    os.close(writing)


def test_a_worker_that_waits_keeps_nothing_open(pooled: Bench) -> None:
    reading, writing = os.pipe()
    pooled.environment["CARGO_MAKEFLAGS"] = f"-j --jobserver-auth={reading},{writing}"
    ended = pooled.run(pooled.script("print('cargo::warning=ok')\n"), pass_fds=(reading, writing))
    assert ended.stdout == b"cargo::warning=ok\n"  # It is at its end, or this would wait.
    (worker,) = supervisors(pooled)

    os.close(writing)

    assert os.read(reading, 1) == b""
    assert os.readlink(f"/proc/{worker}/cwd") == "/"
    # What comes from the server: where stubs connect, and where it is told who has work.
    assert wait_until(
        lambda: kinds_of_descriptors(worker) == ["/dev/null"] * 3 + ["pipe", "socket"]
    )
    os.close(reading)


def kinds_of_descriptors(pid: int) -> list[str]:
    folder = Path(f"/proc/{pid}/fd")
    try:
        return sorted(os.readlink(each).partition(":")[0] for each in folder.iterdir())
    except OSError:
        return []  # One was closed meanwhile.


def test_many_begin_at_once(pooled: Bench) -> None:
    placed = pooled.script("print('cargo::warning=ok')\n")
    (pooled.top / "session").write_bytes(dump(pooled.session("enforcing")))
    environments = []
    for at in range(12):
        out_dir = pooled.target / f"debug/build/crate-{at + 1}/out"
        out_dir.mkdir(parents=True, exist_ok=True)
        environments.append(pooled.variables() | {"OUT_DIR": str(out_dir)})
    started = [
        subprocess.Popen(
            [placed],
            cwd=pooled.package,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for environment in environments
    ]

    said = [process.communicate(timeout=60)[0] for process in started]

    assert said == [b"cargo::warning=ok\n"] * 12
    assert not {process.pid for process in started} & set(supervisors(pooled))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_stub_is_the_end_of_the_script(pooled: Bench, number: int) -> None:
    placed = pooled.script(f"import time\ntime.sleep(1000 + {number})\n")
    process = pooled.start(placed)
    assert wait_until(lambda: is_running(pooled))

    process.send_signal(number)

    process.communicate(timeout=60)
    assert process.returncode == -number
    assert wait_until(lambda: not processes_with(os.fsencode(pooled.out_dir)))
    next_one = pooled.run(pooled.script("print('cargo::warning=ok')\n"))
    assert next_one.stdout == b"cargo::warning=ok\n"
    assert len(set(supervisors(pooled))) == 2  # What was interrupted is used no more.


def test_the_end_of_cargo_is_the_end_of_the_script(pooled: Bench) -> None:
    placed = pooled.script("import time\ntime.sleep(1000)\n")
    (pooled.top / "session").write_bytes(dump(pooled.session("enforcing")))
    cargo = subprocess.Popen(
        ["/bin/sh", "-c", f"{placed}; :"], cwd=pooled.package, env=pooled.variables()
    )
    assert wait_until(lambda: is_running(pooled))

    cargo.kill()

    cargo.wait(timeout=60)
    assert wait_until(lambda: not processes_with(os.fsencode(pooled.out_dir)))


def test_the_end_of_the_server_is_the_end_of_all(own_bench: Bench) -> None:
    (own_bench.top / "session").touch()
    with ForkServerClient(str(own_bench.top / "session")) as server:
        own_bench.environment |= server.environment
        assert wait_until((folder_of(own_bench) / os.fsdecode(SCRIPTS)).exists)
        process = own_bench.start(own_bench.script("import time\ntime.sleep(1000)\n"))
        assert wait_until(lambda: is_running(own_bench))

    process.communicate(timeout=60)
    assert process.returncode in (1, 130)
    assert not processes_with(os.fsencode(own_bench.out_dir))
    assert not folder_of(own_bench).exists()


def test_a_worker_whose_script_failed_has_no_other(pooled: Bench) -> None:
    failing = pooled.run(pooled.script("raise SystemExit(7)\n"))
    ended = pooled.run(pooled.script("print('cargo::warning=ok')\n"))

    assert (failing.status, ended.stdout) == (7, b"cargo::warning=ok\n")
    first, second = supervisors(pooled)
    assert first != second
    assert wait_until(lambda: not Path(f"/proc/{first}").exists())


def test_a_worker_that_is_killed_fails_its_script_and_no_other(pooled: Bench) -> None:
    placed = pooled.script("import time\ntime.sleep(1000)\n")
    process = pooled.start(placed)
    assert wait_until(lambda: is_running(pooled))

    os.kill(supervisors(pooled)[-1], signal.SIGKILL)

    assert process.wait(timeout=60) == 1
    process.communicate()
    assert wait_until(lambda: not is_running(pooled))
    ended = pooled.run(pooled.script("print('cargo::warning=ok')\n"))
    assert ended.stdout == b"cargo::warning=ok\n"


def test_who_is_filtered_is_not_served(pooled: Bench) -> None:
    process = pooled.start(pooled.script("print('cargo::warning=ok')\n"), preexec_fn=filtered)

    assert process.communicate(timeout=60)[0] == b"cargo::warning=ok\n"
    assert supervisors(pooled) == [process.pid]


def test_who_is_of_another_session_is_not_served(pooled: Bench) -> None:
    placed = pooled.script("print('cargo::warning=ok')\n")

    process = pooled.start(placed, start_new_session=True)

    assert process.communicate(timeout=60)[0] == b"cargo::warning=ok\n"
    assert supervisors(pooled) == [process.pid]
    assert pooled.run(placed).stdout == b"cargo::warning=ok\n"
    assert supervisors(pooled)[-1] != process.pid


def test_output_to_a_file_is_not_written_over(pooled: Bench) -> None:
    placed = pooled.script("print('cargo::warning=second')\n")
    path = pooled.top / "said"

    with path.open("wb") as file:
        file.write(b"first\n")
        file.flush()
        process = pooled.start(placed, stdout=file, stderr=subprocess.DEVNULL)
        assert process.wait(timeout=60) == 0

    assert supervisors(pooled) == [process.pid]
    assert path.read_bytes() == b"first\ncargo::warning=second\n"


def test_who_is_no_stub_is_told_so_and_hinders_nobody(pooled: Bench) -> None:
    """Whoever connects, is silent, talks or goes: the next one is served."""
    others = []
    for said in (b"", b"0\n" * 1000):
        other = socket.socket(socket.AF_UNIX)
        other.connect(str(folder_of(pooled) / os.fsdecode(SCRIPTS)))
        other.sendall(said)
        others.append(other)

    ended = pooled.run(pooled.script("print('cargo::warning=ok')\n"))

    assert ended.stdout == b"cargo::warning=ok\n"
    for other in others:
        assert other.recv(64) in (b"again\n", b"")
        other.close()


def is_running(bench: Bench) -> bool:
    """Tell whether the script itself has been started."""
    real = bench.target / "debug/build/crate-0/build_script_build-0.real"
    return bool(processes_with(os.fsencode(real)))


@pytest.mark.parametrize("has_server", [True, False])
def test_no_descriptor_of_ours_counts_as_a_job_server(pooled: Bench, has_server: bool) -> None:
    """As where make has named one, and has not passed it on."""
    named = ",".join(map(str, range(3, 40)))
    pooled.environment["CARGO_MAKEFLAGS"] = f"-j --jobserver-auth={named}"
    if not has_server:
        del pooled.environment[SERVER]

    for _ in range(2):
        ended = pooled.run(pooled.script(CONFINEMENT))

        assert ended.status == 0, ended.stderr
        assert b"descriptors [0, 1, 2]\n" in ended.stdout


LEAVING = """
import errno, os
home = os.environ["HOME"]
print("cargo::metadata=found=" + ",".join(os.listxattr(home)))
try:
    os.setxattr(home, "user.word", b"for the next one")
except OSError as error:
    assert error.errno == errno.ENOTSUP, error  # Then there is nowhere to leave it.
"""


def test_nothing_is_left_in_private_folders(pooled: Bench) -> None:
    placed = pooled.script(LEAVING)

    for _ in range(2):
        ended = pooled.run(placed)

        assert (ended.status, ended.stdout) == (0, b"cargo::metadata=found=\n"), ended.stderr
