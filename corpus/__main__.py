"""Tries every crate and project of the list, and writes the tables: see README.md.

`python -m corpus` goes on where an earlier call stopped. It needs the registry only for what has
not been fetched yet.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from corpus import trial
from corpus.engine_runs import engine_table
from corpus.entries import HERE, Corpus, load, lock_of
from corpus.permissions import write_index
from corpus.records import RESULTS, records, write
from corpus.report import write_report
from corpus.restoring import RestoredUnit
from corpus.restoring import table as restored_table
from corpus.tables import DOCUMENT, document
from corpus.workshop import StepError

_SECONDS = 1800.0
_OWN = "tests/crates"


def write_table() -> None:
    """Write docs/corpus.md anew."""
    text = DOCUMENT.read_text(encoding="utf-8")
    write(DOCUMENT, document(text, load(), records()))


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m corpus", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="crates, groups and projects")
    parser.add_argument("--cheap", action="store_true", help="only the part that CI builds")
    parser.add_argument("--again", action="store_true", help="also what was done before")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="at the same time")
    parser.add_argument("--timeout", type=float, default=_SECONDS, metavar="S", help="of each")
    parser.add_argument("--folder", type=Path, default=HERE.parent / "target/corpus")
    parser.add_argument("--pin", action="store_true", help="only resolve, to the newest versions")
    parser.add_argument("--table", action="store_true", help="only write the tables and the index")
    parser.add_argument(
        "--cache", action="store_true", help="compare what is restored with what runs; print that"
    )
    parser.add_argument(
        "--remote", metavar="ADDRESS", help="compare what runs on an engine of tests/crates"
    )
    given = parser.parse_args()
    if given.remote:
        return compare_remote(given.remote, given.folder, given.timeout)
    if given.cache:
        return compare_restored(load(), set(given.only or ()), given.folder, given.timeout)
    corpus = load()
    wanted = set(given.only or ())
    tasks: dict[str, Callable[[], Any]] = {}
    for group, crates in corpus.groups().items():
        if wanted and not wanted & {group, *(crate.name for crate in crates)}:
            continue
        if given.cheap and not any(crate.cheap for crate in crates):
            continue
        folder = given.folder / group
        if given.pin:
            tasks[group] = partial(trial.pin, group, crates, folder)
        else:
            tasks[group] = partial(trial.try_crates, corpus, group, crates, folder, given.timeout)
    for project in corpus.projects:
        if not given.pin and not given.cheap and (not wanted or project.name in wanted):
            folder = given.folder / project.name
            tasks[project.name] = partial(trial.try_project, corpus, project, folder, given.timeout)
    if not given.table:
        todo = {
            name: task
            for name, task in tasks.items()
            if given.again
            or not (lock_of(name).exists() if given.pin else (RESULTS / f"{name}.json").exists())
        }
        with ThreadPoolExecutor(max_workers=max(1, given.jobs)) as pool:
            list(pool.map(lambda item: _one(*item), todo.items()))
    if not given.pin:
        write_table()
        write_index(records())
        write_report()
    return 0


def compare_restored(corpus: Corpus, wanted: set[str], folder: Path, seconds: float) -> int:
    """Compare what is restored with what runs, of tests/crates and of groups; print a table.

    Args:
        corpus: The list.
        wanted: Names of crates and groups, or `tests/crates`; none: all that need nothing else.
        folder: Where workspaces are made.
        seconds: How long each may take.

    Returns:
        1 if something was restored that is not the same, or a workspace could not be built; else 0.
    """
    tasks: dict[str, Callable[[], list[RestoredUnit]]] = {}
    if not wanted or _OWN in wanted:
        source, to = HERE.parent / _OWN, folder / "own-crates"
        tasks[_OWN] = partial(trial.try_restoring_workspace, source, to, seconds)
    for group, crates in corpus.groups().items():
        is_wanted = bool(wanted & {group, *(crate.name for crate in crates)})
        if is_wanted or not (wanted or any(crate.needs for crate in crates)):
            tasks[group] = partial(trial.try_restoring, crates, group, folder / group, seconds)
    found: dict[str, list[RestoredUnit]] = {}
    failed = False
    for name, task in tasks.items():
        try:
            found[name] = task()
        except StepError as error:
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            failed = True
    print(restored_table(found), end="")
    return int(failed or any(each.differs for runs in found.values() for each in runs))


def compare_remote(address: str, folder: Path, seconds: float) -> int:
    """Compare what an engine makes of tests/crates with what is made here; print a table.

    Returns:
        1 if something is not the same, ran here after all, or could not be built; else 0.
    """
    source, to = HERE.parent / _OWN, folder / "own-crates"
    try:
        runs = trial.try_on_engine(source, to, seconds, address)
    except StepError as error:
        print(f"{_OWN}: {error}", file=sys.stderr, flush=True)
        return 1
    print(engine_table({_OWN: runs}), end="")
    return int(not runs or any(each.why or each.differs for each in runs))


def _one(name: str, task: Callable[[], Any]) -> None:
    try:
        record = task()
    except StepError as error:
        print(f"{name}: {error}", file=sys.stderr, flush=True)
        return
    except Exception:  # Of this program; the others are tried all the same.
        traceback.print_exc()
        return
    if record is not None:
        write(RESULTS / f"{name}.json", json.dumps(record, indent=1, sort_keys=True) + "\n")
        write_table()
        told = record.get("codes", record.get("error"))
        print(f"{name}: {told}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
