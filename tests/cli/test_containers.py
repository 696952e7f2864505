"""Within a container, what holds is held, and where it does not a command fails and says so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from buildperm.errors import ExitCode
from tests.command import CI, LEARN, buildperm, member
from tests.programs import CHILDREN

CONTAINER: tuple[str, ...] = (sys.executable, str(CHILDREN / "in_container.py"))
# What Docker lets through today, and did not once: kernels before 4.8, profiles before 2021.
OLDER = {
    "ptrace": "ptrace is refused",
    "landlock_create_ruleset": "offers no Landlock",
    "landlock_add_rule,landlock_restrict_self": "Landlock: ",
}
READS = """
fn main() {
    println!("cargo:rerun-if-env-changed=AGAIN");
    std::fs::read("../schema/a.txt").unwrap();
    let _ = std::fs::read("../other.txt");
}
"""


def refusing(calls: str) -> tuple[str, ...]:
    """Return the launcher of a container that refuses further calls."""
    return (*CONTAINER, "--refuse", calls)


@pytest.fixture(autouse=True, scope="module")
def _namespaces() -> None:
    made = subprocess.run([*CONTAINER, "true"], check=False, capture_output=True)
    if made.returncode:
        pytest.skip(f"this user can make no container: {made.stderr.decode()}")


@pytest.fixture(scope="module")
def _learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = member(tmp_path_factory.mktemp("learnt") / "ws", READS)
    (made / "schema").mkdir()
    (made / "schema/a.txt").write_text("x")
    learnt = buildperm(*LEARN, folder=made)
    assert learnt.returncode == 0, learnt.stderr
    return made


@pytest.fixture
def workspace(tmp_path: Path, _learnt: Path) -> Path:
    """Return a workspace whose script reads what was granted, learnt outside of the container."""
    return shutil.copytree(_learnt, tmp_path / "ws", ignore=shutil.ignore_patterns("target"))


def diagnosis(folder: Path, launcher: tuple[str, ...] = CONTAINER) -> dict[str, Any]:
    """Return what `doctor` finds within a container."""
    ended = buildperm("doctor", "--format", "json", folder=folder, launcher=launcher)
    document: dict[str, Any] = json.loads(ended.stdout)
    assert document["exit"] == ended.returncode
    return document


@pytest.mark.slow
@pytest.mark.parametrize("calls", ["", "process_vm_readv,process_vm_writev"])
def test_grants_hold_and_refusals_are_told(calls: str, workspace: Path) -> None:
    launcher = refusing(calls) if calls else CONTAINER
    found = diagnosis(workspace, launcher)
    held = buildperm(*CI, folder=workspace, launcher=launcher, extra={"AGAIN": "1"})
    (workspace / "other.txt").write_text("x")
    refused = buildperm(*CI, folder=workspace, launcher=launcher, extra={"AGAIN": "2"})

    assert found["exit"] == 0
    assert found["required"]["chosen"] == "portable"
    assert {each["what"] for each in found["lacks"]} >= {"an egress proxy to granted hosts"}
    assert held.returncode == 0, held.stderr
    assert "1 build script held (portable" in held.stdout + held.stderr
    assert "compiling is not held" not in held.stdout + held.stderr
    assert refused.returncode == ExitCode.REFUSED
    assert "$WORKSPACE/other.txt" in refused.stdout + refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("calls", OLDER)
def test_a_container_in_which_nothing_holds_runs_no_script(calls: str, workspace: Path) -> None:
    found = diagnosis(workspace, refusing(calls))
    held = buildperm(*CI, folder=workspace, launcher=refusing(calls), extra={"AGAIN": "1"})

    assert found["exit"] == held.returncode == ExitCode.CANNOT_ENFORCE
    assert not found["required"]["met"]
    assert OLDER[calls] in held.stderr
    assert "hint: " in held.stderr
    assert "build script held" not in held.stdout + held.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('require = "full"', "the runtime `full` cannot hold build scripts here"),
        ('crates.sample = { net = ["h.example:443"] }', "pidfd_getfd is refused"),
    ],
    ids=["namespaces", "hosts"],
)
def test_what_a_container_cannot_hold_is_never_held_less(
    line: str, said: str, tmp_path: Path
) -> None:
    made = member(tmp_path / "ws", "fn main() {}")
    manifest = made / "Cargo.toml"
    table = "[workspace.metadata.buildperm]\nversion = 1\n"
    manifest.write_text(f"{manifest.read_text()}\n{table}{line}\n")
    if said.startswith("pidfd"):
        manifest.write_text(manifest.read_text().replace("{ net", '{ reviewed = ["0.1.0"], net'))
    held = buildperm(*CI, folder=made, launcher=CONTAINER)

    assert held.returncode == ExitCode.CANNOT_ENFORCE, held.stderr
    assert said in held.stderr
    assert "script held" not in held.stdout + held.stderr


@pytest.mark.slow
def test_another_user_is_root_in_a_container(workspace: Path) -> None:
    """As rootless Docker and Podman have it: whoever is root within is nobody outside."""
    rootless = CONTAINER
    if os.geteuid() == 0:
        rootless = ("unshare", "--user", "--map-root-user", *CONTAINER)
    held = buildperm(*CI, folder=workspace, launcher=rootless, extra={"AGAIN": "1"})

    assert held.returncode == 0, held.stderr
    assert diagnosis(workspace, rootless)["exit"] == 0
