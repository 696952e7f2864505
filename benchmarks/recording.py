"""What recording costs: the build scripts of real crates, plain, under strace and under buildperm.

    benchmarks/recording.py [--rounds N] [CRATE …]

strace gets the same calls to report as buildperm's filter stops for. buildperm does more in that
time: it starts, confines the script, judges its output, scans OUT_DIR and writes the recording.
"""

from __future__ import annotations

import argparse
import os
import shutil
from functools import partial
from pathlib import Path

from held import CRATES, Script, scripts, workspace
from measurement import Variant, describe_machine, interleave, ratios, table

from buildperm.sandbox import seccomp
from buildperm.tracer import syscall_numbers, syscall_table
from buildperm.tracer.recording.reader import read


def variants(script: Script, folder: Path) -> list[Variant]:
    """Return the ways to run `script`, the plain one first."""
    log = os.fsencode(folder / "strace.log")
    # With `?` strace leaves out what it does not know yet.
    names = sorted(seccomp.stopping(syscall_numbers.table(), syscall_table.recorded()).values())
    same = b"trace=" + b",".join(b"?" + name.encode() for name in names)
    strace = [b"strace", b"-f", b"-o", log]
    commands = {
        "plain": [script.program],
        "strace -f": [*strace, script.program],
        "strace -f --seccomp-bpf": [*strace, b"--seccomp-bpf", b"-e", same, script.program],
        "buildperm": [script.stub],
    }
    return [
        Variant(name, partial(script.run, command, folder / str(at) / "out"))
        for at, (name, command) in enumerate(commands.items())
    ]


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("crates", nargs="*", default=["openssl-sys", "ring", "zstd-sys"])
    given = parser.parse_args()
    if shutil.which("strace") is None:
        raise SystemExit("strace is not installed")
    describe_machine()
    rows = []
    with workspace(CRATES) as copy:
        folder, found = scripts(copy, given.crates)
        for crate in given.crates:
            ways = variants(found[crate], folder)
            interleave(ways, given.rounds, title=crate)
            recording = read(folder / "3" / "buildperm" / "recording.jsonl")
            seen = sum(event.count for event in recording.events)
            rows.append([crate, f"{seen:,}", f"{len(recording.events):,}", *ratios(ways)])
    head = ["script", "events", "folded", "plain", "strace -f", "… --seccomp-bpf", "buildperm"]
    table(f"Build scripts, medians of {given.rounds} rounds in turns", head, rows)


if __name__ == "__main__":
    main()
