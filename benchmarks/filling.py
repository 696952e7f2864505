"""What filling the cache costs: build scripts plain, as `ci` runs them, and as `ci --cache` does.

    benchmarks/filling.py [--rounds N] [--minutes N] [CRATE …]

Each script fills an empty store each time. In a build only the first script reads all of the tool
chain, and notes the digests beside the results; so one of the ways keeps these from run to run.
What is measured is the processor time of all processes: those of the script, and those of the
supervisor, which has forked from a server as in a build.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from building import BUILDPERM
from building import run as run_command
from held import CRATES, Script, as_enforced, filling, scripts, workspace
from measurement import (
    Variant,
    describe_machine,
    interleave,
    processor_ratios,
    table,
)

from buildperm.cargo.fork_server_client import ForkServerClient

CHOSEN = (
    *("libgit2-sys", "zstd-sys", "libsqlite3-sys", "libz-sys", "ring", "openssl-sys"),
    *("anyhow", "proc-macro2", "libc"),
)
_DIGESTS = "*/digests"  # In a store: `cached_run`.
_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _TIMES = 1, slice(11, 15)  # proc_pid_stat(5), behind the name; of ended children as well.


def processor_seconds() -> float:
    """Return what all that has come from this process has taken, in seconds: stat of /proc."""
    parents: dict[int, int] = {}
    taken: dict[int, int] = {}
    for each in Path("/proc").iterdir():
        if not each.name.isdigit():
            continue
        try:
            fields = (each / "stat").read_text(errors="replace").rpartition(") ")[2].split()
        except OSError:
            continue  # It has ended meanwhile.
        pid = int(each.name)
        parents[pid] = int(fields[_PARENT])
        taken[pid] = sum(map(int, fields[_TIMES]))
    own, ticks = os.getpid(), 0
    for pid, used in taken.items():
        above = pid
        while above in parents and above != own:
            above = parents[above]
        ticks += used if above == own and pid != own else 0
    used_here = os.times()
    return ticks / _TICKS + used_here.children_user + used_here.children_system


class Counted:
    """One way to run a script, of which the processes that stay behind count as well."""

    def __init__(self, run: Callable[[], object]) -> None:
        """Prepare to run it by `run`."""
        self._run = run
        self.seconds: list[float] = []

    def __call__(self) -> None:
        """Run it, and note what that took."""
        before = processor_seconds()
        self._run()
        self.seconds.append(processor_seconds() - before)


def filled(script: Script, store: Path, out_dir: Path, *, keeps_digests: bool) -> None:
    """Run a script that fills an empty store; end here if that is not what it does."""
    digests = {path: path.read_bytes() for path in store.glob(_DIGESTS)}
    for path in store.iterdir():
        shutil.rmtree(path)
    for path, content in digests.items() if keeps_digests else ():
        path.parent.mkdir(mode=0o700)
        path.write_bytes(content)
    script.run([script.stub], out_dir)
    said = json.loads((out_dir.parent / "buildperm" / "result.json").read_bytes())
    if said["outcome"] != "kept":
        raise SystemExit(f"{script.crate} fills nothing: {'; '.join(said['why'])}")


def measured(script: Script, folder: Path, rounds: int, most_s: float) -> tuple[int, list[str]]:
    """Run a script in all ways, in turns; return how often, and the cells of its row."""
    store, known = folder / "store", folder / "store-known"
    for each in (store, known):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    observed = as_enforced(script, "portable")
    fills, fills_known = filling(observed, store), filling(observed, known)
    with ExitStack() as servers:

        def served(each: Script) -> Script:
            session = os.fsdecode(each.environment[b"BUILDPERM_SESSION"])
            server = servers.enter_context(ForkServerClient(session)).environment
            given = {os.fsencode(name): os.fsencode(value) for name, value in server.items()}
            return replace(each, environment=each.environment | given)

        held, first, later = served(observed), served(fills), served(fills_known)
        outs = [folder / str(at) / "out" for at in range(4)]
        ways = {
            "plain": Counted(partial(script.run, [script.program], outs[0])),
            "ci": Counted(partial(held.run, [held.stub], outs[1])),
            "first": Counted(partial(filled, first, store, outs[2], keeps_digests=False)),
            "later": Counted(partial(filled, later, known, outs[3], keeps_digests=True)),
        }
        turns = [Variant(name, way) for name, way in ways.items()]
        done = interleave(turns, rounds, title=script.crate, most_s=most_s)
    for turn in turns:
        turn.processor_seconds = ways[turn.name].seconds[-done:]
    return done, [*processor_ratios(turns[:2]), *processor_ratios(turns[1:])[1:]]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=4, help="at most, for each script")
    parser.add_argument("crates", nargs="*", default=CHOSEN)
    given = parser.parse_args()
    describe_machine()
    rows = []
    with workspace(CRATES) as copy:
        chosen = [f"--package={crate}" for crate in given.crates]
        learn = ["learn", "--no-tui", "--accept", "medium", "--", "check", *chosen]
        run_command([*BUILDPERM, *learn], copy, 3)
        folder, found = scripts(copy, given.crates)
        for crate in given.crates:
            done, cells = measured(found[crate], folder / crate, given.rounds, 60 * given.minutes)
            rows.append([crate, str(done), *cells])
    head = [
        "script",
        "rounds",
        "plain",
        "ci, of plain",
        "filling, of ci",
        "the same, digests known",
    ]
    table("Processor time of all processes, medians of rounds in turns", head, rows)


if __name__ == "__main__":
    main()
