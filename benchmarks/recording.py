"""What recording costs: the build scripts of real crates, plain, under strace and under buildperm.

    benchmarks/recording.py [--rounds N] [CRATE …]

No crate takes longer than some minutes: there are fewer rounds where one takes long, and none of
`strace -f`, which stops for every call.

strace gets the same calls to report as buildperm's filter stops for. buildperm does more in that
time: it starts, confines the script, judges its output, scans OUT_DIR and writes the recording;
once as under plain cargo, and once as in a build, where there is a fork server.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from held import CRATES, Script, scripts, without_inner_loop, workspace
from measurement import (
    Variant,
    describe_machine,
    interleave,
    processor_ratios,
    ratios,
    table,
)

from buildperm.cargo.fork_server_client import ForkServerClient
from buildperm.sandbox import seccomp
from buildperm.tracer import syscall_numbers, syscall_table
from buildperm.tracer.recording.reader import read

CHOSEN = ("openssl-sys", "ring", "zstd-sys", "libgit2-sys")
MOST_S = 200  # Of the rounds of one crate.
_LONG_S = 5  # A script that takes so long is not run under plain `strace -f`.
_EVERY_CALL = "strace -f"


def variants(script: Script, folder: Path, server: Mapping[str, str]) -> list[Variant]:
    """Return the ways to run `script`, the plain one first; `server` is what its stub finds."""
    log = os.fsencode(folder / "strace.log")
    # With `?` strace leaves out what it does not know yet.
    names = sorted(
        seccomp.stopping(syscall_numbers.table(), syscall_table.recorded(), looks=True).values()
    )
    same = b"trace=" + b",".join(b"?" + name.encode() for name in names)
    strace = [b"strace", b"-f", b"-o", log]
    given = {os.fsencode(name): os.fsencode(value) for name, value in server.items()}
    served = replace(script, environment=script.environment | given)
    commands = {
        "plain": (script, [script.program]),
        _EVERY_CALL: (script, [*strace, script.program]),
        "strace -f --seccomp-bpf": (
            script,
            [*strace, b"--seccomp-bpf", b"-e", same, script.program],
        ),
        "buildperm": (served, [script.stub]),
        "buildperm, alone": (script, [script.stub]),
        "buildperm, alone, Python loop": (without_inner_loop(script), [script.stub]),
    }
    return [
        Variant(name, partial(run.run, command, folder / str(at) / "out"))
        for at, (name, (run, command)) in enumerate(commands.items())
    ]


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("crates", nargs="*", default=CHOSEN)
    given = parser.parse_args()
    if shutil.which("strace") is None:
        raise SystemExit("strace is not installed")
    describe_machine()
    rows: list[list[str]] = []
    busy: list[list[str]] = []
    with workspace(CRATES) as copy:
        folder, found = scripts(copy, given.crates)
        for crate in given.crates:
            session = os.fsdecode(found[crate].environment[b"BUILDPERM_SESSION"])
            with ForkServerClient(session) as server:
                ways = variants(found[crate], folder, server.environment)
                names = [way.name for way in ways]
                began = time.perf_counter()
                ways[0].run()
                if time.perf_counter() - began > _LONG_S:
                    ways = [way for way in ways if way.name != _EVERY_CALL]
                rounds = interleave(ways, given.rounds, title=crate, most_s=MOST_S)
            recording = read(folder / "3" / "buildperm" / "recording.jsonl")
            seen = sum(event.count for event in recording.events)
            counts = [crate, str(rounds), f"{seen:,}", f"{len(recording.events):,}"]
            measured = [way.name for way in ways]
            for to, before, row in (
                (rows, counts, ratios(ways)),
                (busy, [crate], processor_ratios(ways)),
            ):
                by_name = dict(zip(measured, row, strict=True))
                to.append([*before, *(by_name.get(name, "") for name in names)])
    title = "medians of rounds in turns"
    table(f"Build scripts, {title}", ["script", "rounds", "events", "folded", *names], rows)
    table(f"Processor time of all processes, {title}", ["script", *names], busy)


if __name__ == "__main__":
    main()
