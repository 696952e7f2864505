"""Denials of files that do not exist yet, in a folder that may be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.bench import Bench

WAYS = {
    "opened": "open('../gen/keep.txt', 'w')",
    "renamed": "open('../gen/x', 'w'); os.rename('../gen/x', '../gen/keep.txt')",
    "made": "os.mkdir('../gen/keep.txt')",
    "linked": "os.symlink('x', '../gen/keep.txt')",
}


@pytest.mark.parametrize("pattern", ["gen/keep.txt", "gen/k*.txt"])
@pytest.mark.parametrize("way", WAYS)
def test_making_what_was_denied_fails_the_run(own_bench: Bench, way: str, pattern: str) -> None:
    (own_bench.workspace / "gen").mkdir()
    own_bench.grants["write"] = ["$WORKSPACE/gen/**"]
    own_bench.deny["write"] = [f"$WORKSPACE/{pattern}"]
    ended = own_bench.run(own_bench.script(f"import os\n{WAYS[way]}\n"))
    assert ended.status == 1
    assert b"denied to write" in ended.stderr


def test_a_denial_does_not_fail_for_the_files_beside_it(own_bench: Bench) -> None:
    (own_bench.workspace / "gen").mkdir()
    own_bench.grants["write"] = ["$WORKSPACE/gen/**"]
    own_bench.deny["write"] = ["$WORKSPACE/gen/keep.txt"]
    ended = own_bench.run(own_bench.script("open('../gen/other.txt', 'w')"))
    assert ended.status == 0
