"""The table of recorded calls: what it says fits, and one entry is all that another call takes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from buildperm.tracer import syscall_table
from buildperm.tracer.syscall_table import ChangeLayout, OpenLayout
from tests.programs import CHILDREN

if TYPE_CHECKING:
    from pathlib import Path


def test_every_layout_names_arguments_that_exist() -> None:
    for opening in syscall_table.of(OpenLayout).values():
        descriptor, path = opening.path
        assert -1 <= descriptor < path <= 5
        assert -1 <= opening.flags <= 5
    for change in syscall_table.of(ChangeLayout).values():
        assert all(-1 <= place <= 5 for place in (*change.path, *change.other))
        assert -1 <= change.flags <= 5


def test_one_entry_is_all_that_it_takes_to_record_another_call(tmp_path: Path) -> None:
    """From the filter to the line: `chdir`, which only looks, as if it changed something."""
    assert "chdir" not in syscall_table.recorded()
    (tmp_path / "sub").mkdir()

    ran = subprocess.run(
        [sys.executable, "-m", "tests.children.added_call", tmp_path],
        cwd=CHILDREN.parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.stderr == ""
    assert ran.stdout.splitlines() == [
        f"times-changed {tmp_path}/sub 0",
        "times-changed / 0",
        "times-changed /none 2",
    ]
