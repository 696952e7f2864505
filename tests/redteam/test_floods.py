"""Floods of attempts that hide another: a recording is bounded, and so is what it keeps of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.command import buildperm
from tests.redteam.packages import crate, learnt, workspace

if TYPE_CHECKING:
    from tests.bench import Bench

REFUSED = """
import os
folder = os.open('..', os.O_PATH)
for at in range({number}):
    try: os.symlink('x' * 4000, f'{{at}}', dir_fd=folder)
    except OSError: pass
try: open('../note.txt')
except OSError: pass
"""
HABITS = """
fn main() {
    for (length, number) in [(4000, 7_000), (400, 20), (40, 20), (4, 20)] {
        for at in 0..number {
            let target = format!("{at:0>length$}");
            let _ = std::os::unix::fs::symlink(target, "../.git/index.lock");
        }
    }
    let _ = std::fs::write(format!("../{:p>200}", "planted"), "");
}
"""
"""Git does that wherever it is, so that nobody is asked about it."""


@pytest.mark.parametrize(("number", "status"), [(9_000, 1), (9, 0)])
def test_a_flood_of_refused_attempts_fails_the_run(
    own_bench: Bench, number: int, status: int
) -> None:
    (own_bench.workspace / "note.txt").write_text("x")

    ended = own_bench.run(own_bench.script(REFUSED.format(number=number)))

    assert ended.status == status
    assert (b"did not fit" in ended.stderr) == bool(status)


@pytest.mark.slow
def test_a_flood_of_habits_hides_no_attempt(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "ws", "flooding", "other")
    (folder / ".git").mkdir()
    crate(folder / "flooding", HABITS)
    crate(folder / "other", "fn main() {}")

    held = buildperm("ci", folder=folder)
    learned = buildperm("learn", "--no-tui", folder=folder)

    assert held.returncode == 20, held.stdout + held.stderr
    assert "did not fit" in held.stdout
    assert learned.returncode == 3, learned.stderr
    assert "not settled: flooding 0.1.0" in learned.stderr
    assert 'crate = "other"' in learnt(folder)
    assert 'crate = "flooding"' not in learnt(folder)
