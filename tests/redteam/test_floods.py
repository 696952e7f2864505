"""Floods of attempts that hide another: a recording is bounded, and so is what it keeps of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import Bench

REFUSED = """
import os
folder = os.open('..', os.O_PATH)
for at in range({number}):
    try: os.symlink('x' * 4000, f'{{at}}', dir_fd=folder)
    except OSError: pass
try: open('../note.txt')
except OSError: pass
"""


@pytest.mark.parametrize(("number", "status"), [(9_000, 1), (9, 0)])
def test_a_flood_of_refused_attempts_fails_the_run(
    own_bench: Bench, number: int, status: int
) -> None:
    (own_bench.workspace / "note.txt").write_text("x")

    ended = own_bench.run(own_bench.script(REFUSED.format(number=number)))

    assert ended.status == status
    assert (b"did not fit" in ended.stderr) == bool(status)
