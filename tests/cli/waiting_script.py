"""A build script that waits until it is told to go on."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.programs import program_text

WAITS = program_text("waits.rs")


def until_up(folder: Path, running: subprocess.Popen[bytes]) -> None:
    """Wait until the build script that `WAITS` runs."""
    deadline = time.monotonic() + 60
    while not list(folder.glob("target/buildperm/*/debug/build/*/out/up")):
        assert time.monotonic() < deadline, "the build script did not start"
        assert running.poll() is None, running.communicate()[1].decode()
        time.sleep(0.02)
