"""Results in places that are called otherwise, and what is kept below one key."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import kept_results
from tests.bench import Bench, make_bench

pytestmark = pytest.mark.slow  # It runs scripts until they have come to the same.

BODY = """
import os, shlex
out, package = os.environ["OUT_DIR"], os.environ["CARGO_MANIFEST_DIR"]
with open(package + "/read") as file:
    said = file.read()
with open(out + "/made", "w") as file:
    file.write("cd %s\\n%s" % (shlex.quote(out), said))
"""


@pytest.fixture
def first() -> Iterator[Bench]:
    """Return a bench whose runs are kept."""
    for bench in make_bench("own"):
        yield prepared(bench, bench.top / "results")


def prepared(bench: Bench, kept: Path) -> Bench:
    bench.kept = kept
    read = bench.package / "read"
    read.write_text("one")
    os.utime(read, (1, 1))
    return bench


def beside(first: Bench, name: str) -> Bench:
    """Return a bench in another place, with the same results."""
    assert first.kept is not None
    top = first.top / name
    top.mkdir()
    return prepared(Bench(top, first.uid, first.python), first.kept)


def outcomes(bench: Bench, path: str) -> list[str]:
    """Run a script until it is restored; return what came of that each time."""
    found = kept_results.until_restored(bench, bench.script(BODY))
    assert {made for _, made in found} == {f"cd {path}\none"}
    return [came for came, _ in found]


def test_a_path_that_has_to_be_escaped_is_not_put_in_for_one_that_has_not(first: Bench) -> None:
    outcomes(first, str(first.out_dir))
    second = beside(first, "second")
    outcomes(second, str(second.out_dir))
    third = beside(first, "third")

    assert outcomes(third, str(third.out_dir)) == ["restored"]
    blank = beside(first, "with a blank")
    assert len(outcomes(blank, f"'{blank.out_dir}'")) > 2  # As in a place of its own.
    assert outcomes(third, str(third.out_dir)) == ["restored"]


def test_so_many_results_are_kept_below_one_key(first: Bench) -> None:
    placed = first.script(BODY)
    assert first.kept is not None
    assert kept_results.outcome(first, placed)[0] == "kept"
    (result,) = first.kept.rglob("*.json")
    for at in range(80):
        shutil.copy(result, result.with_name(f"{at:x}-1.json"))
    (first.package / "read").write_text("two")

    assert kept_results.outcome(first, placed)[0] == "kept"

    left = list(first.kept.rglob("*.json"))
    assert len(left) == 64
    contents = [
        each[3]
        for path in left
        for each in kept_results.read(path)["inputs"]
        if each[1] == "$MANIFEST_DIR/read"
    ]
    assert sorted(contents.count(each) for each in set(contents)) == [1, 63]  # The new one is kept.


def test_what_is_restored_is_in_use(first: Bench) -> None:
    """What nobody uses goes first where there is no more room."""
    placed = first.script(BODY)
    kept_results.until_restored(first, placed)
    assert first.kept is not None
    results = list(first.kept.glob("1/results/*/*/*.json"))
    for path in results:
        os.utime(path, (0, 0))

    assert kept_results.outcome(first, placed)[0] == "restored"

    assert sum(path.stat().st_mtime > 0 for path in results) == 1
