"""A command that needs no recorder: what it may use besides files."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from buildperm.sandbox import confined_command
from buildperm.supervisor import landlock


@pytest.mark.parametrize(("mebibytes", "is_had"), [(256, True), (5 << 10, False)])
def test_no_process_takes_more_memory_than_compiling_needs(mebibytes: int, is_had: bool) -> None:
    """Asked for, and not touched: a machine with less of it holds this test, too."""
    if not landlock.abi():
        pytest.skip("this kernel has no Landlock")
    asks = f"import mmap; mmap.mmap(-1, {mebibytes} << 20, flags=mmap.MAP_PRIVATE)"
    command = confined_command.words([sys.executable, "-c", asks], {}, runs=[b"/"])
    variables = confined_command.own_variables(os.environ)

    ended = subprocess.run(command, env=variables, capture_output=True, check=False)

    assert (ended.returncode == 0) is is_had, ended.stderr
    assert (b"Cannot allocate memory" in ended.stderr) is not is_had
