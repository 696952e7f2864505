"""The git hooks of `examples/hooks`, run by git in a real repository."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import EXAMPLES, buildperm, environment, member

HOOKS = EXAMPLES / "hooks"
HARMLESS = "fn main() {}\n"
GRANTS = """
[workspace.metadata.buildperm]
version = 1
[workspace.metadata.buildperm.crates.sample]
exec = ["perl"]
"""
IDENTITY = ["-c", "user.name=a", "-c", "user.email=a@localhost"]

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git")


def git(folder: Path, *words: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run git as somebody would who has buildperm on PATH, if `path` has it."""
    variables = environment()
    variables["PATH"] = f"{path}:{variables['PATH']}" if path else "/usr/bin:/bin"
    return subprocess.run(
        ["git", *IDENTITY, *words],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Return a folder for PATH with buildperm in it, as an installation would put it there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "buildperm"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m buildperm "$@"\n')
    command.chmod(0o755)
    return str(folder)


@pytest.fixture
def repository(tmp_path: Path, path: str) -> Path:
    """Make a repository with the hooks, and with a workspace whose build script is reviewed."""
    folder = member(tmp_path / "ws", HARMLESS)
    learned = buildperm("learn", "--no-tui", folder=folder)
    assert learned.returncode == 0, learned.stderr
    (folder / ".gitignore").write_text("target\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    for name in ("pre-commit", "post-checkout"):
        shutil.copy(HOOKS / name, folder / ".git/hooks" / name)
    git(folder, "add", "--all")
    committed = git(folder, "commit", "--message=first", path=path)
    assert committed.returncode == 0, committed.stderr
    return folder


def _bump(repository: Path) -> None:
    manifest = repository / "sample/Cargo.toml"
    manifest.write_text(manifest.read_text().replace("0.1.0", "0.2.0"))
    subprocess.run(
        ["cargo", "update", "--quiet", "--workspace"],
        cwd=repository,
        env=environment(),
        check=True,
    )


@pytest.mark.slow
def test_a_commit_that_changes_nothing_of_it_does_not_ask_buildperm(repository: Path) -> None:
    (repository / "sample/src/lib.rs").write_text("// changed\n")
    git(repository, "add", "--all")

    committed = git(repository, "commit", "--message=second")  # Without buildperm on PATH.

    assert committed.returncode == 0, committed.stderr


def test_a_commit_waits_for_the_review_and_takes_it_along(repository: Path, path: str) -> None:
    _bump(repository)
    git(repository, "add", "Cargo.lock")
    half = git(repository, "commit", "--message=second", path=path)
    git(repository, "add", "--all")
    refused = git(repository, "commit", "--message=second", path=path)
    reviewed = buildperm("review", "--no-tui", folder=repository)
    without = git(repository, "commit", "--message=second", path=path)
    git(repository, "add", "--all")
    taken = git(repository, "commit", "--message=second", path=path)

    assert half.returncode != 0
    assert "sample/Cargo.toml" in half.stderr
    assert refused.returncode != 0
    assert "sample 0.2.0" in refused.stderr
    assert reviewed.returncode == 0, reviewed.stderr
    assert without.returncode != 0
    assert "buildperm.lock" in without.stderr
    assert taken.returncode == 0, taken.stderr
    assert git(repository, "status", "--porcelain").stdout == ""


@pytest.mark.slow
def test_a_commit_of_nothing_but_a_build_script_waits_for_the_review_too(
    repository: Path, path: str
) -> None:
    (repository / "sample/build.rs").write_text(f"// Changed.\n{HARMLESS}")
    git(repository, "add", "--all")

    refused = git(repository, "commit", "--message=second", path=path)

    assert refused.returncode != 0
    assert "build.rs changed" in refused.stderr


@pytest.mark.slow
def test_another_branch_with_other_packages_is_told_at_the_checkout(
    repository: Path, path: str
) -> None:
    git(repository, "checkout", "--quiet", "-b", "other")
    _bump(repository)
    with (repository / "Cargo.toml").open("a") as file:
        file.write(GRANTS)
    git(repository, "commit", "--quiet", "--all", "--no-verify", "--message=second")
    back = git(repository, "checkout", "main")
    there = git(repository, "checkout", "other", path=path)
    same = git(repository, "checkout", "-b", "third")
    taken = git(repository, "checkout", "main", "--", "Cargo.lock")

    assert (back.returncode, there.returncode) == (0, 0)
    assert "sample 0.2.0" in there.stderr
    assert "wider: sample may run `perl`" in there.stderr  # Whoever wrote it has granted it.
    assert "buildperm" in back.stderr  # It is not on PATH, and git goes on all the same.
    assert "buildperm" not in same.stderr + taken.stderr


@pytest.mark.parametrize("name", ["pre-commit", "post-checkout"])
def test_hooks_are_posix_sh_and_executable(name: str) -> None:
    shell = shutil.which("dash") or "/bin/sh"

    checked = subprocess.run([shell, "-n", str(HOOKS / name)], capture_output=True, check=False)

    assert checked.returncode == 0, checked.stderr
    assert (HOOKS / name).stat().st_mode & 0o111 == 0o111
