"""The fork server: what it serves is supervised as if an interpreter had been started for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from buildperm.cargo.fork_server_client import ForkServerClient
from buildperm.sandbox.stub import SUPERVISOR
from buildperm.supervisor.fork_request import SERVER
from buildperm.supervisor.fork_server import PLACES
from buildperm.supervisor.session import dump
from buildperm.tracer.recorder import ptrace
from tests.bench import Bench, filtered, processes_with, wait_until
from tests.programs import program_text

TELLING = program_text("tells_surroundings.py")


@pytest.fixture
def served(own_bench: Bench) -> Iterator[Bench]:
    """Start a fork server for a bench with a shell script as stub, and wait until it is ready."""
    own_bench.has_shell_stub = True
    (own_bench.top / "session").touch()
    with ForkServerClient(str(own_bench.top / "session")) as server:
        own_bench.environment |= server.environment
        assert wait_until((folder_of(own_bench) / "requests").exists)
        yield own_bench


def folder_of(bench: Bench) -> Path:
    return Path(bench.environment[SERVER])


def was_served(bench: Bench, process: subprocess.Popen[bytes]) -> bool:
    """Tell whether another process than the stub itself was the last supervisor."""
    return bool(bench.progress_lines()[-1]["pid"] != process.pid)


@pytest.mark.parametrize("status", [0, 3])
def test_a_run_is_the_same_as_without(served: Bench, status: int) -> None:
    placed = served.script(TELLING)
    folder = served.environment.pop(SERVER)
    served.environment["CARGO_FEATURE_A.B"] = "odd"
    served.environment["CARGO_FEATURE_STATUS"] = str(status)
    found = []
    for variables in ({}, {SERVER: folder}):
        served.environment |= variables
        process = subprocess.Popen(
            [placed, "an argument", ""],
            cwd=start(served),
            env=served.variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            umask=0o27,
        )
        said = process.communicate(timeout=60)
        events = [
            {name: value for name, value in event.items() if name not in ("at", "pid")}
            for event in served.events()
            if event["type"] in ("opened", "executed", "directive", "socket", "changed")
        ]
        assert was_served(served, process) == bool(variables)
        found.append((process.returncode, said, events))

    assert found[0] == found[1]
    assert found[1][0] == status
    assert b"said\n" in found[1][1][1]
    if not status:
        assert b"cargo::warning=['an argument', '']" in found[1][1][0]
        assert b"cargo::warning=27" in found[1][1][0]


def start(bench: Bench) -> Path:
    """Write the session; return the folder that Cargo runs the script in."""
    (bench.top / "session").write_bytes(dump(bench.session("enforcing")))
    return bench.package


def test_the_jobserver_is_passed_on(served: Bench) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"+")
    served.environment["CARGO_MAKEFLAGS"] = f"-j --jobserver-auth={reading},{writing}"
    placed = served.script(
        f"import os\nos.write({writing}, os.read({reading}, 1) + b'!')\n"
        "print('cargo::warning=ok')\n"
    )

    process = served.start(placed, pass_fds=(reading, writing))
    said, _ = process.communicate(timeout=60)

    assert was_served(served, process)
    assert said == b"cargo::warning=ok\n"
    assert os.read(reading, 8) == b"+!"
    os.close(reading)
    os.close(writing)


def test_what_a_script_keeps_of_the_jobserver_is_put_back(served: Bench) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"ab")
    served.environment["CARGO_MAKEFLAGS"] = f"-j --jobserver-auth={reading},{writing}"
    placed = served.script(f"import os\nos.read({reading}, 1)\n")

    process = served.start(placed, pass_fds=(reading, writing))
    process.communicate(timeout=60)

    assert was_served(served, process)
    assert sorted(os.read(reading, 8)) == list(b"ab")
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(
    ("reading", "writing", "is_served"),
    [(3, 4, True), (8, 9, True), (6, 7, True), (60, 61, True), (6, 9, False)],
)
def test_a_jobserver_may_be_where_the_stub_would_keep_its_own(
    served: Bench, reading: int, writing: int, is_served: bool
) -> None:
    served.environment["CARGO_MAKEFLAGS"] = (
        f"-j --jobserver-fds={reading},{writing} --jobserver-auth={reading},{writing}"
    )
    pipe = os.pipe()
    os.write(pipe[1], b"+")
    placed = served.script(
        f"import os\nos.write({writing}, os.read({reading}, 1) + b'!')\n"
        "print('cargo::warning=ok')\n"
    )
    shell = f"exec {{0}}<&{pipe[0]} {{1}}>&{pipe[1]}; exec {placed}"

    process = subprocess.Popen(
        ["bash", "-c", shell.format(reading, writing)],
        cwd=start(served),
        env=served.variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=pipe,
    )
    said, _ = process.communicate(timeout=60)

    assert said == b"cargo::warning=ok\n"
    assert os.read(pipe[0], 8) == b"+!"
    assert was_served(served, process) == is_served
    for descriptor in pipe:
        os.close(descriptor)


def test_output_to_a_file_is_not_written_over(served: Bench) -> None:
    placed = served.script("print('cargo::warning=second')\n")
    path = served.top / "said"

    with path.open("wb") as file:
        file.write(b"first\n")
        file.flush()
        process = served.start(placed, stdout=file, stderr=subprocess.DEVNULL)
        assert process.wait(timeout=60) == 0

    assert path.read_bytes() == b"first\ncargo::warning=second\n"
    assert not was_served(served, process)


def test_many_ask_at_once(served: Bench) -> None:
    placed = served.script("print('cargo::warning=ok')\n")
    environments = []
    for at in range(8):
        out_dir = served.target / f"debug/build/crate-{at + 1}/out"
        out_dir.mkdir(parents=True, exist_ok=True)
        environments.append(served.variables() | {"OUT_DIR": str(out_dir)})

    folder = start(served)

    started = [
        subprocess.Popen(
            [placed],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for environment in environments
    ]

    said = [process.communicate(timeout=60)[0] for process in started]
    assert said == [b"cargo::warning=ok\n"] * 8
    assert len({line["pid"] for line in served.progress_lines()}) == 8
    assert wait_until(lambda: not list(folder_of(served).glob("*.taken")))


def test_who_finds_no_place_for_the_reply_does_without(served: Bench) -> None:
    placed = served.script("print('cargo::warning=ok')\n")
    for place in range(1, PLACES):
        (folder_of(served) / f"{place}.taken").touch()
    last = folder_of(served) / f"{PLACES}.taken"

    def run() -> tuple[bytes, bool]:
        process = served.start(placed)
        said, _ = process.communicate(timeout=60)
        return said, was_served(served, process)

    assert run() == (b"cargo::warning=ok\n", True)
    assert wait_until(lambda: not last.exists())
    last.touch()
    assert run() == (b"cargo::warning=ok\n", False)


def test_a_place_is_one_stubs_only(served: Bench) -> None:
    placed = served.script("import time\ntime.sleep(2)\nprint('cargo::warning=ok')\n")
    process = served.start(placed)
    assert wait_until(lambda: is_running(served))

    (folder_of(served) / "requests").write_text(f"{os.getpid()} 0 0 1 1\n")

    said, _ = process.communicate(timeout=60)
    assert (said, process.returncode) == (b"cargo::warning=ok\n", 0)
    assert was_served(served, process)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_stub_is_the_end_of_the_script(served: Bench, number: int) -> None:
    placed = served.script(f"import time\ntime.sleep(1000 + {number})\n")
    process = served.start(placed)
    mark = os.fsencode(served.out_dir)
    assert wait_until(lambda: is_running(served))

    process.send_signal(number)

    process.communicate(timeout=60)
    assert process.returncode == -number
    assert wait_until(lambda: not processes_with(mark))


def test_the_end_of_the_server_is_the_end_of_all(own_bench: Bench) -> None:
    (own_bench.top / "session").touch()
    with ForkServerClient(str(own_bench.top / "session")) as server:
        own_bench.environment |= server.environment
        assert wait_until((folder_of(own_bench) / "requests").exists)
        process = own_bench.start(own_bench.script("import time\ntime.sleep(1000)\n"))
        assert wait_until(lambda: is_running(own_bench))

    process.communicate(timeout=60)
    assert process.returncode in (1, 130)
    assert not processes_with(os.fsencode(own_bench.out_dir))
    assert not folder_of(own_bench).exists()


def test_a_server_that_cannot_be_made_is_nobodys_end(tmp_path: Path) -> None:
    # What has been killed takes the build with it: stubs would wait for its reply.
    where = str(tmp_path / "nowhere")
    command = [sys.executable, "-IS", SUPERVISOR, "--serve", where, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        with pytest.raises(subprocess.TimeoutExpired):
            server.wait(1)
        assert server.communicate(timeout=120)[1] == b""

    assert server.returncode == 0


def is_running(bench: Bench) -> bool:
    """Tell whether the script itself has been started."""
    real = bench.target / "debug/build/crate-0/build_script_build-0.real"
    return bool(processes_with(os.fsencode(real)))


def test_who_is_filtered_is_not_served(served: Bench) -> None:
    placed = served.script("print('cargo::warning=ok')\n")

    process = served.start(placed, preexec_fn=filtered)
    said, _ = process.communicate(timeout=60)

    assert not was_served(served, process)
    assert said == b"cargo::warning=ok\n"


def test_who_is_traced_is_not_served(served: Bench) -> None:
    asking = subprocess.Popen(
        [sys.executable, "-c", "print(input(), flush=True); print(open(input()).readline())"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=served.variables(),
        text=True,
    )
    reply = folder_of(served) / "7"
    assert asking.stdin is not None
    assert asking.stdout is not None
    asking.stdin.write("begun\n")
    asking.stdin.flush()
    assert asking.stdout.readline() == "begun\n"  # Or it would stop at its own execution.
    ptrace.seize(asking.pid)
    (folder_of(served) / "requests").write_text(f"{asking.pid} 0 0 1 7\n")

    said, _ = asking.communicate(f"{reply}\n", timeout=60)

    assert said == "again\n\n"


@pytest.mark.parametrize(
    "request_of",
    [
        lambda pid: f"{pid} 0 0 1 7\n",
        lambda pid: f"{pid} 99 0 1 7\n",
        lambda pid: f"{pid} 0 999999 1 7\n",
        lambda pid: (
            f"{pid}\n1 1 1 1\n-1 0 0 1 7\nx y z 1 7\n{pid} 0 0 1\n{pid} 0 0 1 65\n{pid} 0 0 1 0\n"
            + "0" * 70_000
            + f" 0 0 1 7\n{pid} 0 0 1 7\n"
        ),
    ],
)
def test_who_is_no_stub_is_not_served(served: Bench, request_of: Callable[[int], str]) -> None:
    reply = folder_of(served) / "7"

    with (folder_of(served) / "requests").open("w") as requests:
        requests.write(request_of(os.getpid()))

    with reply.open() as file:
        assert file.readline() == "again\n"
