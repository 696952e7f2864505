"""What a build takes whose scripts are restored: `cargo build`, and `buildperm ci --cache`.

    benchmarks/restoring.py [--rounds N] [--minutes N] [--keep FOLDER] [WORKSPACE …]

Every round builds everything anew. The store is a temporary one, and is filled by two builds before
the first round. Then each result is loaded and compared with what is there, as before it is
restored: processor time of this process, the median of five times.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

from building import BUILDPERM, afresh, plain, run
from held import CRATES, workspace
from measurement import (
    Variant,
    describe_machine,
    interleave,
    processor_ratios,
    ratios,
    table,
)

from buildperm.cache.input_comparison import compare
from buildperm.cache.path_tokens import PathTokens
from buildperm.cache.result_store import FolderStore
from buildperm.tracer.notation import decode

_TIMES = 5


def comparing_ms(store: FolderStore) -> list[float]:
    """Return how long each result of a store takes to be read and compared, in ms."""
    found = []
    for key, _, result in store.every():
        tokens = PathTokens({name: decode(place) for name, place in result.places.items()})
        taken = []
        for _ in range(_TIMES):
            began = time.process_time()
            for _, each in store.results(key):
                compare(each.inputs, tokens)
            taken.append(1000 * (time.process_time() - began))
        found.append(statistics.median(taken))
    return found


def main() -> None:
    """Measure, and print three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy the stores to here")
    parser.add_argument("workspaces", nargs="*", type=Path, default=[CRATES])
    given = parser.parse_args()
    describe_machine()
    held = [*BUILDPERM, "ci", "--cache", "--", "build", "--workspace", "--quiet"]
    rows, busy, stores = [], [], []
    for each in given.workspaces:
        with workspace(each.absolute()) as folder, tempfile.TemporaryDirectory() as cache:
            os.environ["XDG_CACHE_HOME"] = cache
            learn = ["learn", "--no-tui", "--accept", "medium", "--", "check", "--workspace"]
            run([*BUILDPERM, *learn], folder, 3)
            afresh(held, folder)
            afresh(held, folder)
            ways = [
                Variant("cargo build", partial(afresh, plain(folder), folder)),
                Variant("restored", partial(afresh, held, folder)),
            ]
            rounds = interleave(ways, given.rounds, title=str(each), most_s=60 * given.minutes)
            rows.append([each.name, str(rounds), *ratios(ways)])
            busy.append([each.name, *processor_ratios(ways)])
            kept = FolderStore(os.fsencode(cache) + b"/buildperm/results")
            stores.append([each.name, *_store(kept)])
            if given.keep:
                shutil.copytree(f"{cache}/buildperm/results", given.keep / each.name)
    ways_head = ["cargo build", "buildperm ci --cache"]
    title = "medians of rounds in turns"
    table(f"Whole builds from nothing, {title}", ["workspace", "rounds", *ways_head], rows)
    table(f"Processor time of all processes, {title}", ["workspace", *ways_head], busy)
    table("What is kept", ["workspace", "results", "store", "read and compared"], stores)


def _store(store: FolderStore) -> list[str]:
    taken = comparing_ms(store)
    if not taken:
        raise SystemExit("nothing was kept")
    middle, most = statistics.median(taken), max(taken)
    return [str(len(taken)), f"{store.size() / 1e6:.1f} MB", f"{middle:.1f} ms, at most {most:.1f}"]


if __name__ == "__main__":
    main()
