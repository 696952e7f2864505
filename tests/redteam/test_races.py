"""Paths that change while the kernel looks at them: what it decided on is what it used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.conftest import compile_c

if TYPE_CHECKING:
    from tests.sandbox.conftest import Bench

SOURCE = Path(__file__).with_name("flipping.c").read_text()
CALLS = {"open": 30_000, "rename": 10_000, "source": 10_000}
FLIPS = 100_000  # At the least; it is millions, and many during each call.


@pytest.mark.timeout(120)
@pytest.mark.parametrize("way", CALLS)
def test_a_path_that_flips_during_a_call_never_leads_where_it_may_not(
    own_bench: Bench, way: str
) -> None:
    other = own_bench.target / "debug/build/crate-2/out"
    other.mkdir(parents=True)
    (other / "file").write_text("forbidden")
    (own_bench.out_dir / "file").write_text("allowed")
    own_bench.environment = {"CARGO_FEATURE_STD": way, "NUM_JOBS": str(CALLS[way])}
    program = compile_c(SOURCE, own_bench.top / "flipping", "-pthread")

    ended = own_bench.run(own_bench.install(program), timeout_s=110)

    said = next(line for line in ended.stderr.splitlines() if line[:1].isdigit())
    flips, allowed, refused, missing, forbidden, unknown = map(int, said.split())
    assert forbidden == 0
    assert unknown == 0
    assert allowed + refused + missing == CALLS[way]
    assert flips >= FLIPS
    assert min(allowed, refused) > CALLS[way] // 100  # Both sides were met, again and again.
    assert sorted(path.name for path in other.iterdir()) == ["file"]
    assert (other / "file").read_text() == "forbidden"
    # What the recorder says is what happened, and not what the path was a moment later.
    opened = [event for event in ended.of("opened") if str(event["path"]).endswith("/out/file")]
    if way == "open":
        done = [event for event in opened if not event.get("refused")]
        assert {str(event["path"]) for event in done} == {str(own_bench.out_dir / "file")}
        assert sum(event.get("count", 1) for event in done) == allowed
        assert sum(event.get("count", 1) for event in opened) == allowed + refused
