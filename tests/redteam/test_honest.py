"""What honest build scripts do works under each runtime, and makes the same files.

A sandbox that refused everything would pass every test of attacks.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import partial

import pytest

from buildperm.sandbox.runtime import RUNTIMES
from tests.redteam.arena import WITHOUT, states, users
from tests.redteam.honest import WORKLOADS, Built, build
from tests.redteam.once import once

HELD = [state for state in states() if state != WITHOUT]


def _built(factory: pytest.TempPathFactory, user: str, state: str) -> Built:
    reason = None if state == WITHOUT else RUNTIMES[state].unavailable()
    if reason:
        name = "bubblewrap" if state == "full" else "Landlock"
        pytest.skip(f"{name} is not usable here: {reason}")
    makers = {
        f"honest-{user}-{state}": partial(_build, user, state)
        for state in states()
        for user in users()
        if state == WITHOUT or RUNTIMES[state].unavailable() is None
    }
    return Built.load(once(factory, f"honest-{user}-{state}", makers))


def _build(user: str, state: str) -> str:
    return build(user, state).dump()


def _needs(workload: str) -> None:
    tool = {"python": "python3", "libclang": "llvm-config", "configure": "sh", "rustc": "cargo"}
    program = tool.get(workload, workload)
    if program in ("autocfg", "files"):
        return
    if shutil.which(program, path="/usr/local/bin:/usr/bin:/bin") is None and program != "cargo":
        pytest.skip(f"{'libclang' if workload == 'libclang' else program} is not installed")
    if workload == "pkg-config":
        asked = subprocess.run(["pkg-config", "--exists", "zlib"], check=False)
        if asked.returncode:
            pytest.skip("pkg-config is not told of zlib")


@pytest.mark.parametrize("state", [WITHOUT, *HELD])
@pytest.mark.parametrize("user", list(users()))
@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_workload_does_what_it_is_for(
    tmp_path_factory: pytest.TempPathFactory, user: str, state: str, workload: str
) -> None:
    _needs(workload)
    built = _built(tmp_path_factory, user, state)
    assert built.outcomes.get(workload) == "", built.said


@pytest.mark.parametrize("state", HELD)
@pytest.mark.parametrize("user", list(users()))
def test_its_files_are_the_same_as_without_a_sandbox(
    tmp_path_factory: pytest.TempPathFactory, user: str, state: str
) -> None:
    free = _built(tmp_path_factory, user, WITHOUT)
    held = _built(tmp_path_factory, user, state)
    assert len(free.files) > 40
    assert held.files == free.files


@pytest.mark.parametrize("state", HELD)
@pytest.mark.parametrize("user", list(users()))
def test_nothing_that_it_does_is_refused_or_asked_about(
    tmp_path_factory: pytest.TempPathFactory, user: str, state: str
) -> None:
    built = _built(tmp_path_factory, user, state)
    assert built.accesses == []
    assert built.exit == 0, built.said
