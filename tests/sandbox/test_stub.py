"""The stub that is run by sh."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from buildperm.sandbox.stub import stub


@pytest.mark.parametrize("name", ["plain", "a b", "it's", 'say "x"', "$HOME", "`id`", "ä"])
@pytest.mark.quick(2)
def test_any_path_survives_the_shell(tmp_path: Path, name: str) -> None:
    session = tmp_path / name / "session"
    program = tmp_path / name / "stub"
    program.parent.mkdir()
    text = stub(os.fsencode(session), b"").replace(
        b"-IS", b"-ISc 'import os; print(os.environ[\"BUILDPERM_FALLBACK\"])'"
    )
    program.write_bytes(text + b"# real: x\n")

    ended = subprocess.run(["sh", program], capture_output=True, check=True)

    assert ended.stdout == os.fsencode(session) + b"\n"
    assert text.count(b"\n# real:") == 0
    assert os.fsencode(sys.executable) in text


def test_a_path_with_a_line_break_is_refused() -> None:
    with pytest.raises(ValueError, match="a%0Ab"):
        stub(b"/a\nb")


def test_whoever_writes_stubs_does_not_load_the_supervisor() -> None:
    supervisor = "buildperm.supervisor.supervision"
    program = f"import sys, buildperm.sandbox.stub; print('{supervisor}' in sys.modules)"
    listed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert listed.stdout == b"False\n"
