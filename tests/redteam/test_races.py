"""Paths that change while the kernel looks at them: it uses the path that it has checked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.bench import compile_c
from tests.programs import CHILDREN

if TYPE_CHECKING:
    from tests.bench import Bench

SOURCE = (CHILDREN / "flipping_paths.c").read_text()
RACED = {"open": 10_000, "rename": 4_000, "source": 4_000, "mode": 4_000}
FEW, MANY = 1_000, 100_000
FLIPS = 100_000  # At the least; it is millions, and many during each call that counts.


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("way", "raced"),
    [
        *((way, FEW) for way in RACED),
        *(pytest.param(way, raced, marks=pytest.mark.slow) for way, raced in RACED.items()),
    ],
)
@pytest.mark.quick(1)
def test_a_path_that_flips_during_a_call_never_leads_where_it_may_not(
    own_bench: Bench, way: str, raced: int
) -> None:
    _race(own_bench, way, raced)


@pytest.mark.races
@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", RACED)
def test_nor_does_it_in_a_hundred_thousand_calls_during_each_of_which_it_has_flipped(
    own_bench: Bench, way: str
) -> None:
    _race(own_bench, way, MANY)


def _race(bench: Bench, way: str, wanted: int) -> None:
    """Make calls of one kind until the path has flipped during `wanted` of them."""
    other = bench.target / "debug/build/crate-2/out"
    other.mkdir(parents=True)
    (other / "file").write_text("forbidden")
    (other / "file").chmod(0o640)
    (bench.out_dir / "file").write_text("allowed")
    bench.environment = {"CARGO_FEATURE_STD": way, "NUM_JOBS": str(wanted)}
    program = compile_c(SOURCE, bench.top / "flipping", "-pthread")

    ended = bench.run(bench.install(program), timeout_s=500)

    said = next(line for line in ended.stderr.splitlines() if line[:1].isdigit())
    flips, raced, allowed, refused, missing, forbidden, unknown = map(int, said.split())
    assert forbidden == 0
    assert unknown == 0
    # On one processor few paths flip during a call; each that does is judged all the same.
    assert raced == wanted or len(os.sched_getaffinity(0)) == 1
    assert raced <= allowed + refused + missing
    assert flips >= FLIPS
    assert min(allowed, refused) > wanted // 100  # Both sides were met, again and again.
    assert sorted(path.name for path in other.iterdir()) == ["file"]
    assert (other / "file").read_text() == "forbidden"
    assert (other / "file").stat().st_mode & 0o777 == 0o640
    # What the recorder says is what happened, and not what the path was a moment later.
    if way == "open":
        opened = [event for event in ended.of("opened") if str(event["path"]).endswith("/out/file")]
        done = [event for event in opened if not event.get("refused")]
        assert {str(event["path"]) for event in done} == {str(bench.out_dir / "file")}
        assert _times(done) == allowed
        assert _times(opened) == allowed + refused
    elif way == "mode":
        modes = [event for event in ended.of("changed") if event["change"] == "mode-changed"]
        for path, times, is_refused in (
            (bench.out_dir / "file", allowed, False),
            (other / "file", refused, True),
        ):
            about = [event for event in modes if event["path"] == str(path)]
            assert {bool(event.get("refused")) for event in about} == {is_refused}
            assert _times(about) == times
    else:
        # A rename leaves nothing behind that says which names it was about: it is only marked.
        renamed = [event for event in ended.of("changed") if event["change"] == "renamed"]
        assert any(event.get("raced") for event in renamed)


def _times(events: list[dict[str, Any]]) -> int:
    return sum(event.get("count", 1) for event in events)
