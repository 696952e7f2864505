"""What the supervisor imports: it starts once per build script, so every module counts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LEAN = (
    "recorder.loop",
    "recorder.observation",
    "recorder.budget",
    "recorder.writer",
    "syscall_table",
    "recorder.refusal",
    "recorder.syscall_stops",
    "fields",
    "notation",
    "recorder.breakpoint",
    "recorder.environment_reads",
    "recorder.signalling",
    "recorder.cpu_affinity",
    "recorder.c_library",
    "recorder.registers",
    "recorder.jobserver_tokens",
    "recorder.brokered",
    "recorder.run_end",
    "recording_format",
)
FORBIDDEN = {
    "ctypes",
    "dataclasses",
    "enum",
    "json",
    "logging",
    "pathlib",
    "ptrace",
    "re",
    "shutil",
    "signal",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "typing",
}


@pytest.mark.parametrize("module", LEAN)
def test_a_lean_module_imports_nothing_heavy(module: str) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); before = set(sys.modules);"
        f"import buildperm.tracer.{module}; print(*sorted(set(sys.modules) - before))"
    )
    listed = subprocess.run(
        [sys.executable, "-ISc", program], capture_output=True, text=True, check=True
    ).stdout.split()

    assert f"buildperm.tracer.{module}" in listed
    assert not FORBIDDEN & set(listed)
