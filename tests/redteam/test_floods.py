"""Many attempts that hide another one: a recording keeps a bounded number of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.command import buildperm
from tests.programs import program_text
from tests.redteam.packages import crate, lock_file_text, workspace

if TYPE_CHECKING:
    from tests.bench import Bench

HABITS = program_text("hides_among_habits.rs")
"""Git does that wherever it is, so that nobody is asked about it."""


@pytest.mark.parametrize(("number", "status"), [(9_000, 1), (9, 0)])
@pytest.mark.quick(1)
def test_a_flood_of_refused_attempts_fails_the_run(
    own_bench: Bench, number: int, status: int
) -> None:
    (own_bench.workspace / "note.txt").write_text("x")

    ended = own_bench.run(
        own_bench.script(program_text("hides_among_refusals.py", NUMBER=str(number)))
    )

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
    assert 'crate = "other"' in lock_file_text(folder)
    assert 'crate = "flooding"' not in lock_file_text(folder)
