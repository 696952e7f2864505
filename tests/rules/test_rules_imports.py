"""The supervisor loads all rules each time that it starts, so importing them must be quick."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LEAN = (
    *("pattern", "baseline", "sensitive", "sensitive_table", "variables", "directive", "limits"),
    *("keyfiles", "key_search", "sensitive_links", "home", "tier", "repository", "home_table"),
    "script_variables",
)
HEAVY = (
    "dataclasses typing json re enum signal socket subprocess threading pathlib tempfile shutil "
    "logging collections functools inspect importlib.resources"
)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("module", LEAN)
def test_the_supervisors_policy_imports_nothing_heavy(module: str) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); before = set(sys.modules);"
        f"import buildperm.rules.{module};"
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run(
        [sys.executable, "-IS", "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()

    assert f"buildperm.rules.{module}" in loaded
    assert not set(loaded) & set(HEAVY.split())
    assert len(loaded) <= 26  # `os` and what it needs are among them: there is no site module
