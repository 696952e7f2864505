"""What `learn` offers has to be allowed afterwards; `ci` once refused it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.command import buildperm
from tests.redteam.git_dependency import GitDependency
from tests.redteam.runtimes import RUNTIMES

_MANIFEST = '[package]\nname = "{}"\nversion = "0.1.0"\nedition = "2021"\n'
_SCRIPT = "fn main() {{ {} }}\n"


def _crate(folder: Path, name: str, script: str, more: str = "") -> None:
    (folder / "src").mkdir(parents=True)
    (folder / "src/lib.rs").touch()
    (folder / "Cargo.toml").write_text(_MANIFEST.format(name) + more)
    (folder / "build.rs").write_text(_SCRIPT.format(script))


def _passes(workspace: Path, runtime: str = "portable") -> None:
    """Allow what a batch may, and check that every command then accepts it."""
    extra = {"CARGO_HOME": str(workspace.parent / "cargo-home")}
    for words in (("learn", "--no-tui", "--accept", "medium"), ("ci",)):
        told = buildperm(*words, "--runtime", runtime, folder=workspace, extra=extra)
        assert told.returncode == 0, told.stdout + told.stderr
    told = buildperm("check", folder=workspace, extra=extra)
    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.slow
def test_a_workspace_with_settings_in_it_can_be_listed(tmp_path: Path, runtime: str) -> None:
    workspace = tmp_path / "ws"
    lists = 'println!("cargo::rerun-if-changed=build.rs"); std::fs::read_dir("..").unwrap();'
    _crate(workspace / "member", "member", lists)
    (workspace / "Cargo.toml").write_text('[workspace]\nmembers = ["member"]\nresolver = "2"\n')
    (workspace / ".env").write_text("PASSWORD=x")

    _passes(workspace, runtime)


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.slow
def test_a_package_with_a_repository_of_its_own_asks_for_git_alone(
    tmp_path: Path, inside: bool
) -> None:
    workspace = tmp_path / "ws"
    other = (workspace if inside else tmp_path) / "dep"
    describes = (
        'println!("cargo::rerun-if-changed=build.rs");'
        'std::fs::read(".git/HEAD").unwrap();'
        'let told = std::process::Command::new("git").args(["rev-parse", "HEAD"]).output();'
        "assert!(told.unwrap().status.success());"
    )
    _crate(other, "dep", describes)
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "x")):
        subprocess.run(["git", *identity, *words], cwd=other, check=True)
    where = "dep" if inside else "../dep"
    _crate(workspace, "app", "", f'[dependencies]\ndep = {{ path = "{where}" }}\n[workspace]\n')

    _passes(workspace)
    granted = (workspace / "Cargo.toml").read_text().partition("metadata.buildperm.crates.")[2]
    assert 'presets = ["git"]' in granted
    assert "read =" not in granted


@pytest.mark.slow
def test_what_a_grant_covers_and_does_not_open_is_told(tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    writes = 'let _ = std::fs::write("../gen/new.rs", ""); std::fs::write("../gen/a", "").unwrap();'
    _crate(workspace / "member", "member", writes)
    (workspace / "gen").mkdir()
    (workspace / "gen/a").touch()
    (workspace / "gen/prod.p12").touch()  # Around it nothing can be made.
    grants = "[workspace.metadata.buildperm]\nversion = 1\n"
    grants += "[workspace.metadata.buildperm.crates.member]\n"
    grants += 'reviewed = ["0.1.0"]\nwrite = ["$WORKSPACE/gen/**"]\n'
    (workspace / "Cargo.toml").write_text(f'[workspace]\nmembers = ["member"]\n{grants}')
    told = buildperm("ci", folder=workspace, extra={"CARGO_HOME": str(tmp_path / "cargo-home")})

    assert told.returncode == 0, told.stderr
    assert "warning: member 0.1.0: write $WORKSPACE/gen/new.rs refused, though gra" in told.stdout
    assert (
        "only what a grant names but cannot open (see above) was blocked"
        in told.stdout + told.stderr
    )


@pytest.mark.slow
def test_a_folder_that_was_to_be_made_can_be_filled_once_it_is_granted(tmp_path: Path) -> None:
    here = GitDependency(tmp_path, {"CARGO_HOME": str(tmp_path / "cargo-home")})
    makes = 'std::fs::create_dir_all("../gen").unwrap(); std::fs::write("../gen/a", "").unwrap();'
    _crate(here.workspace / "member", "member", makes)
    (here.workspace / "Cargo.toml").write_text('[workspace]\nmembers = ["member"]\n')

    told = here.learn()
    assert 'write = ["$WORKSPACE/gen/**"]' in here.manifest, told
    assert here.run("ci").returncode == 0
    assert (here.workspace / "gen/a").is_file()
