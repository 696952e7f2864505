"""Many build scripts at once: whether they wait for one another, or for the fork server.

    benchmarks/at_once.py [--scripts N] [--jobs N]

Each script does nothing but tell when it began. Plain and in each runtime, as in a build with so
many jobs: how long all take, when a script in the middle begins, and for how long the fork server
was busy per script.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from held import EXAMPLES, Script, as_enforced, scripts, workspace
from measurement import describe_machine, duration, table
from startup import make_clock

from buildperm.cargo.fork_server_client import ForkServerClient
from buildperm.sandbox import runtime as runtimes
from buildperm.supervisor.worker_pool import SCRIPTS

READY_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Ran:
    """How many scripts went."""

    took_s: float
    begin_s: float  # From the start of the stub to that of the script; the median.


def run(script: Script, program: bytes, out_dirs: Sequence[Path], jobs: int) -> Ran:
    """Run `program` once for each of `out_dirs`, which exist, so many at a time."""
    left, running, begins = list(out_dirs), dict[int, tuple[int, int]](), list[float]()
    began = time.perf_counter()
    while left or running:
        while left and len(running) < jobs:
            reading, writing = os.pipe()
            variables = script.environment | {b"OUT_DIR": os.fsencode(left.pop())}
            started_ns = time.time_ns()
            pid = os.posix_spawn(
                program,
                [program],
                variables,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, writing, 1),
                    (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
                ],
            )
            os.close(writing)
            running[pid] = reading, started_ns
        pid, status = os.wait()
        if pid in running:
            reading, started_ns = running.pop(pid)
            with open(reading, "rb") as said:
                begins.append((int(said.read()) - started_ns) / 1e9)
            if status:
                raise SystemExit(f"a script ended with status {status}")
    return Ran(time.perf_counter() - began, statistics.median(begins))


def busy_s(pid: int) -> float:
    """Return for how long a process has been on a processor: proc(5), `schedstat`."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scripts", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=16)
    given = parser.parse_args()
    describe_machine()
    rows = []
    with workspace(EXAMPLES) as copy:
        folder = make_clock(copy.parent / "clock")
        runs, found = scripts(folder, ["clock"])
        script = found["clock"]
        os.chdir(script.folder)
        out_dirs = [runs / str(at) / "out" for at in range(given.scripts)]
        for out_dir in out_dirs:
            out_dir.mkdir(parents=True)
        plain = run(script, script.program, out_dirs, given.jobs)
        rows.append(["plain", duration(plain.took_s), duration(plain.begin_s), ""])
        for name, runtime in runtimes.runtimes().items():
            if runtime.unavailable():
                continue
            enforced = as_enforced(script, name)
            with contextlib.ExitStack() as stack:
                session = os.fsdecode(enforced.environment[b"BUILDPERM_SESSION"])
                server = stack.enter_context(ForkServerClient(session))
                variables = {os.fsencode(k): os.fsencode(v) for k, v in server.environment.items()}
                (served_in,) = server.environment.values()
                deadline = time.monotonic() + READY_TIMEOUT_S
                while not Path(served_in, os.fsdecode(SCRIPTS)).exists():
                    if time.monotonic() > deadline:
                        raise SystemExit("the fork server does not come up")
                    time.sleep(0.01)
                served = replace(enforced, environment=enforced.environment | variables)
                run(served, script.stub, out_dirs[:1], 1)
                told = subprocess.run(
                    ["pgrep", "-f", served_in], capture_output=True, text=True, check=True
                )
                pid = min(map(int, told.stdout.split()))  # Its workers came later.
                before_s = busy_s(pid)
                ran = run(served, script.stub, out_dirs, given.jobs)
                each_s = (busy_s(pid) - before_s) / given.scripts
            rows.append(
                [f"`{name}`", duration(ran.took_s), duration(ran.begin_s), duration(each_s)]
            )
    head = ["", "all", "until one begins (median)", "fork server, for each"]
    table(f"{given.scripts} scripts, {given.jobs} at a time", head, rows)


if __name__ == "__main__":
    main()
