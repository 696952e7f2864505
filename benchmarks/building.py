"""What a whole build costs: `cargo build` of real crates, plain and under `buildperm ci`.

    benchmarks/building.py [--rounds N] [--minutes N] [--runtime NAME] [WORKSPACE …]

Every round builds everything anew, dependencies included. The grants are those that
`learn --accept medium` writes. Each workspace, a folder, is copied first; there are fewer rounds
where they would take longer than N minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from held import CRATES, workspace
from measurement import (
    Variant,
    describe_machine,
    interleave,
    processor_ratios,
    ratios,
    table,
)

from buildperm.sandbox import runtime as runtimes

BUILDPERM = [sys.executable, "-m", "buildperm"]


def run(command: list[str], folder: Path, *accepted: int) -> None:
    """Run `command` in `folder`; end here if it ends with a status that is not accepted."""
    environment = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
    ended = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if ended.returncode not in (0, *accepted):
        sys.stderr.write(ended.stderr.decode("utf-8", "replace"))
        raise SystemExit(f"`{' '.join(command)}` ended with {ended.returncode}")


def plain(folder: Path) -> list[str]:
    """Return the command for a plain build: where it can be, without network, and closed elsewhere.

    What is built may be anybody's, and nothing but this confines it. All crates have been fetched.
    """
    build = ["cargo", "build", "--workspace", "--quiet", "--offline"]
    if shutil.which("bwrap") is None:
        return build
    place = str(folder)
    closed = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-net"]
    return [*closed, "--tmpfs", "/tmp", "--bind", place, place, "--chdir", place, *build]


def afresh(command: list[str], folder: Path) -> None:
    """Run `command` after removing everything that was built."""
    shutil.rmtree(folder / "target", ignore_errors=True)
    run(command, folder)


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--runtime")
    parser.add_argument("workspaces", nargs="*", type=Path, default=[CRATES, CRATES / "system"])
    given = parser.parse_args()
    describe_machine()
    names = [name for name, each in runtimes.runtimes().items() if not each.unavailable()]
    names = [given.runtime] if given.runtime else names
    held = {
        name: [*BUILDPERM, "ci", "--runtime", name, "--", "build", "--workspace", "--quiet"]
        for name in names
    }
    rows, busy = [], []
    for each in given.workspaces:
        with workspace(each.absolute()) as folder:
            learn = ["learn", "--no-tui", "--accept", "medium", "--", "check", "--workspace"]
            run([*BUILDPERM, *learn], folder, 3)
            ways = [
                Variant("cargo build", partial(afresh, plain(folder), folder)),
                *(Variant(name, partial(afresh, held[name], folder)) for name in names),
            ]
            rounds = interleave(ways, given.rounds, title=str(each), most_s=60 * given.minutes)
            rows.append([each.name, str(rounds), *ratios(ways)])
            busy.append([each.name, *processor_ratios(ways)])
    ways_head = ["cargo build", *(f"buildperm ci, `{name}`" for name in names)]
    title = "medians of rounds in turns"
    table(f"Whole builds from nothing, {title}", ["workspace", "rounds", *ways_head], rows)
    table(f"Processor time of all processes, {title}", ["workspace", *ways_head], busy)


if __name__ == "__main__":
    main()
