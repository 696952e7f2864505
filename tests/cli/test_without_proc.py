"""Without /proc nothing can be held: the message says that it has to be mounted."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import environment, member

UNSHARE = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
HIDES = "mount -t tmpfs none /proc; "
MOUNTS = "`mount -t proc proc /proc`"


@pytest.mark.parametrize("is_hidden", [True, False])
@pytest.mark.parametrize("command", ["doctor", "ci"])
def test_a_missing_proc_is_named_with_the_way_out(
    tmp_path: Path, command: str, *, is_hidden: bool
) -> None:
    hides = HIDES if is_hidden else ""
    if subprocess.run([*UNSHARE, f"{HIDES}true"], check=False, capture_output=True).returncode:
        pytest.skip("no namespaces for users")
    folder = member(tmp_path / "ws", "fn main() {}")

    told = subprocess.run(
        [*UNSHARE, f"{hides}exec {shlex.join([sys.executable, '-m', 'buildperm', command])}"],
        cwd=folder,
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
    )

    said = told.stdout + told.stderr
    assert ("/proc" in said and MOUNTS in said) == is_hidden, said
    assert "coreutils" not in said
    if is_hidden:
        assert told.returncode != 0
