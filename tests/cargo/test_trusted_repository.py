"""A checkout of somebody else's: what the user's Git trusts, scripts can ask Git about as well."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from buildperm.cargo.trusted_repository import trusted
from tests.command import LEARN, buildperm

OTHER = 2000

SCRIPT = """
fn main() {
    let told = std::process::Command::new("git").args(["rev-parse", "HEAD"]).output().unwrap();
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    println!("cargo::warning=revision={}", if said.is_empty() { "none" } else { said.trim() });
}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a repository with a package, and give it to another user."""
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    root = tmp_path / "checkout"
    (root / "src").mkdir(parents=True)
    (root / "src/lib.rs").write_text("")
    (root / "build.rs").write_text(SCRIPT)
    (root / ".gitignore").write_text("target\n")
    (root / "Cargo.toml").write_text(
        '[package]\nname = "versioned"\nversion = "0.1.0"\nedition = "2021"\n'
    )
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run(["git", *who, *words], cwd=root, check=True)
    for path in (root, *root.rglob("*")):
        os.lchown(path, OTHER, OTHER)
    return root


def settings(tmp_path: Path, *directories: str) -> dict[str, str]:
    """Return an environment in which the user's Git trusts these directories."""
    file = tmp_path / "gitconfig"
    file.write_text("[safe]\n" + "".join(f'directory = "{each}"\n' for each in directories))
    return {**os.environ, "GIT_CONFIG_GLOBAL": str(file)}


def test_what_the_user_trusts_is_passed_on_and_nothing_else(checkout: Path, tmp_path: Path) -> None:
    def found(*directories: str) -> list[bytes]:
        return trusted(checkout, settings(tmp_path, *directories))

    this = [os.fsencode(checkout)]
    assert found() == []
    assert found(str(checkout)) == this
    assert found("*") == this
    assert found(f"{tmp_path}/*") == this
    assert found(str(tmp_path), f"{checkout}/src") == []
    assert found(str(checkout), "") == []  # An empty one takes back what is before it.
    # A repository says nothing about itself, wherever Git is asked.
    with (checkout / ".git/config").open("a") as config:
        config.write("[safe]\ndirectory = *\n")
    named = {**settings(tmp_path), "GIT_DIR": str(checkout / ".git")}
    assert trusted(checkout, named) == []
    # One's own needs no trust, and no question.
    for path in (checkout, checkout / ".git"):
        os.chown(path, 0, 0)
    assert found("*") == []


@pytest.mark.slow
def test_a_script_gets_its_version_where_plain_git_does(checkout: Path, tmp_path: Path) -> None:
    def revision(extra: dict[str, str]) -> str:
        said = buildperm("ci", folder=checkout, extra=extra).stderr
        return said.partition("revision=")[2].split("\n")[0].strip()

    assert buildperm(*LEARN, folder=checkout).returncode == 0
    trusting = settings(tmp_path, str(checkout))
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=checkout, env=trusting, capture_output=True, text=True
    ).stdout.strip()

    assert revision({"GIT_CONFIG_GLOBAL": os.devnull}) == "none"
    assert revision({"GIT_CONFIG_GLOBAL": trusting["GIT_CONFIG_GLOBAL"]}) == head
