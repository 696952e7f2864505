"""What results of build scripts take in a store, and what 200 of them would.

    benchmarks/store.py FOLDER …

Each folder is a store, such as `restoring.py --keep` leaves, and is only read. Each result of it
is put into a new store, for itself: it may have been kept by another version. A script is taken
once in each version. What 200 of them need is told by drawing 200, with replacement, 2,000 times,
as a few have nearly all of the bytes. Read again means all blobs of a result, each compared with
its digest: processor time of this process.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

from measurement import describe_machine, table

from buildperm.cache import blob_form
from buildperm.cache.kept_result import FILE, UNSTABLE, KeptResult
from buildperm.cache.result_store import FolderStore

_DRAWN, _DRAWS = 200, 2_000
_NAMED = 12


class Measured:
    """One result in the new store."""

    def __init__(self, result: KeptResult) -> None:
        self.title = f"{result.name} {result.version}"
        self.was = 0  # Bytes that it would take with each blob for itself.
        self.takes = 0
        self.said = 0  # Of these, the result and its recording.
        self.content = 0  # Bytes that come back.
        self.read_s = 0.0


def measured(source: FolderStore, target: FolderStore, key: str, result: KeptResult) -> Measured:
    """Put a result into a store that is empty."""
    made = Measured(result)
    seen = set()
    for named, size, _ in result.blobs():
        if named not in seen:
            seen.add(named)
            content = source.blob(str(named), int(size))
            target.put_blob(content)
            made.was += len(blob_form.packed(content))
            made.content += len(content)
    target.put(key, "1", result)
    made.takes = target.size()
    files = {each[3] for each in result.left if each[0] == FILE}
    made.said = made.takes - sum(about.st_size for named, about in target.blobs() if named in files)
    made.was += made.takes - sum(about.st_size for _, about in target.blobs())
    began = time.process_time()
    for named, size, _ in result.blobs():
        target.blob(str(named), int(size))
    made.read_s = time.process_time() - began
    return made


def every(folders: list[Path]) -> list[Measured]:
    """Measure each result of these stores that can be restored, each for itself."""
    found: dict[tuple[str, str], Measured] = {}
    for folder in folders:
        source = FolderStore(os.fsencode(folder.absolute()))
        for key, _, result in source.every():
            name = f"{result.name} {result.version}", result.key.get("the program", "")
            if result.state != UNSTABLE and name not in found:
                with tempfile.TemporaryDirectory() as place:
                    target = FolderStore(os.fsencode(place) + b"/store")
                    found[name] = measured(source, target, key, result)
    return list(found.values())


def main() -> None:
    """Measure, and print three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", nargs="+", type=Path)
    describe_machine()
    results = sorted(every(parser.parse_args().folders), key=lambda each: -each.takes)
    if not results:
        raise SystemExit("nothing was kept")
    largest = [
        [each.title, _mb(each.content), _mb(each.was), _mb(each.takes), _rate(each)]
        for each in results[:_NAMED]
    ]
    head = ["script", "content", "each blob for itself", "as it is kept", "read again"]
    table("The largest", head, largest)
    takes = [each.takes for each in results]
    content = sum(each.content for each in results)
    row = [
        str(len(results)),
        *(_mb(sum(values)) for values in ([each.was for each in results], takes)),
        _mb(statistics.median(takes)),
        _mb(sorted(takes)[len(takes) * 9 // 10]),
        _mb(sum(each.said for each in results)),
        f"{1e9 * sum(each.read_s for each in results) / content:.1f} ms/MB",
    ]
    head = ["scripts", "each blob for itself", "as it is kept", "median", "nine of ten at most"]
    table("All", [*head, "results and recordings alone", "read again"], [row])
    chance = random.Random(0)
    drawn = sorted(sum(chance.choices(takes, k=_DRAWN)) for _ in range(_DRAWS))
    spread = [drawn[_DRAWS // 20], statistics.median(drawn), drawn[-_DRAWS // 20]]
    mean = sum(takes) / len(takes) * _DRAWN
    head = ["as many times the mean", "one of twenty draws at most", "half", "nineteen of twenty"]
    table(f"{_DRAWN} such scripts", head, [[_mb(mean), *map(_mb, spread)]])


def _mb(size: float) -> str:
    return f"{size / 1e6:.2f} MB" if size >= 10_000 else f"{size / 1e3:.1f} kB"


def _rate(each: Measured) -> str:
    return f"{1e9 * each.read_s / each.content:.1f} ms/MB" if each.content else "-"


if __name__ == "__main__":
    main()
