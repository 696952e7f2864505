"""A pull request that grants itself permissions and says that they were reviewed.

The build script is real, and so is the action that runs it as a pull request is built.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.command import buildperm, environment, member
from tests.git_repository import commit, git

ROOT = Path(__file__).parents[2]
LEAKS = """
fn main() {
    let found = std::fs::read("../private.txt").unwrap();
    std::fs::create_dir_all("../gen").unwrap();
    std::fs::write("../gen/leaked", found).unwrap();
}
"""
GRANTS = """
[workspace.metadata.buildperm]
version = 1

[workspace.metadata.buildperm.crates.sample]
reviewed = ["0.1.0"]
read = ["$WORKSPACE/private.txt"]
write = ["$WORKSPACE/gen/**"]
reason = "generates code"
"""

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git")


def action(clone: Path, temporary: Path, base: str) -> subprocess.CompletedProcess[bytes]:
    """Run the second step of the action for a pull request, as its defaults have it."""
    temporary.mkdir()
    inputs = {"ARGS": "", "REQUIRE_REVIEWED": "true", "DENY_UNUSED": "false", "WARN": "false"}
    inputs |= {"SARIF": "", "JSON": "", "JUNIT": "", "AGAINST": "auto", "ALLOW_WIDER": "false"}
    variables = {f"INPUT_{name}": value for name, value in inputs.items()}
    variables |= {
        "BUILDPERM": str(Path(sysconfig.get_path("scripts")) / "buildperm"),
        "GITHUB_BASE_REF": base,
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_OUTPUT": str(temporary / "output"),
        "GITHUB_STEP_SUMMARY": str(temporary / "summary"),
        "GITHUB_WORKSPACE": str(clone),
        "RUNNER_TEMP": str(temporary),
    }
    return subprocess.run(
        ["bash", ROOT / "ci/github.sh", "hold"],
        cwd=clone,
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=240,
    )


@pytest.mark.slow
def test_who_grants_to_themselves_is_stopped_before_anything_is_built(tmp_path: Path) -> None:
    origin = member(tmp_path / "origin", "fn main() {}\n")
    (origin / "private.txt").write_text("nobody else's business")
    (origin / ".gitignore").write_text("target\n")
    git(origin, "init", "--quiet", "--initial-branch=main")
    commit(origin)
    git(origin, "switch", "--quiet", "--create", "request")
    (origin / "sample/build.rs").write_text(LEAKS)
    with (origin / "Cargo.toml").open("a") as file:
        file.write(GRANTS)
    learned = buildperm("learn", "--no-tui", folder=origin)
    assert learned.returncode == 0, learned.stderr
    shutil.rmtree(origin / "gen", ignore_errors=True)
    commit(origin)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=request", origin.as_uri(), str(clone))

    stopped = action(clone, tmp_path / "stopped", "main")
    leaked = os.path.lexists(clone / "gen/leaked")
    # What the base branch has granted already is built: nothing of it is new.
    honest = action(clone, tmp_path / "honest", "request")

    assert not leaked
    assert stopped.returncode == 21, stopped.stdout
    assert b"wider: sample may write `$WORKSPACE/gen/**`" in stopped.stdout
    assert b"The reason that Cargo.toml gives: generates code" in stopped.stdout
    assert honest.returncode == 0, honest.stdout
    assert (clone / "gen/leaked").read_text() == "nobody else's business"
