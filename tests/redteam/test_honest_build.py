"""What honest build scripts do works under each runtime, and makes the same files.

A sandbox that refused everything would pass every test of attacks. `make test` does it as an
ordinary user in `portable`; what is marked `matrix` is all the rest.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from functools import partial

import pytest

from buildperm.sandbox.runtime import runtimes
from tests.redteam.attack_run import WITHOUT, states, users
from tests.redteam.honest_build import WORKLOADS, Built, build
from tests.redteam.worker_cache import once, wanted

HELD = [state for state in states() if state != WITHOUT]


_QUICK = ("ordinary", (WITHOUT, "portable"))

Building = Callable[[str, str], Built]


@pytest.fixture(scope="session")
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Building:
    """Return a function that builds as a user in a state, once for each."""

    def build_once(user: str, state: str) -> Built:
        reason = None if state == WITHOUT else runtimes()[state].unavailable()
        if reason:
            name = "bubblewrap" if state == "full" else "Landlock"
            pytest.skip(f"{name} is not usable here: {reason}")
        makers = {
            f"honest-{user}-{state}": partial(_build, user, state)
            for user, state in sorted(wanted(request.session.items) | {(user, state)})
            if state == WITHOUT or runtimes()[state].unavailable() is None
        }
        return Built.load(once(tmp_path_factory, f"honest-{user}-{state}", makers))

    return build_once


def _cases(states: list[str]) -> list[object]:
    """List user and state."""
    return [
        pytest.param(
            *(user, state),
            id=f"{user}-{state}",
            marks=[] if user == _QUICK[0] and state in _QUICK[1] else [pytest.mark.matrix],
        )
        for user in users()
        for state in states
    ]


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


@pytest.mark.parametrize(("user", "state"), _cases([WITHOUT, *HELD]))
@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_workload_does_what_it_is_for(
    built: Building, user: str, state: str, workload: str
) -> None:
    _needs(workload)
    came = built(user, state)
    assert came.outcomes.get(workload) == "", came.said


@pytest.mark.parametrize(("user", "state"), _cases(HELD))
def test_its_files_are_the_same_as_without_a_sandbox(
    built: Building, user: str, state: str
) -> None:
    free = built(user, WITHOUT)
    held = built(user, state)
    assert len(free.files) > 40
    assert held.files == free.files


@pytest.mark.parametrize(("user", "state"), _cases(HELD))
def test_nothing_that_it_does_is_refused_or_asked_about(
    built: Building, user: str, state: str
) -> None:
    came = built(user, state)
    assert came.accesses == []
    assert came.exit == 0, came.said
