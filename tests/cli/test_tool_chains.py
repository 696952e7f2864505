"""Scripts that run tool chains: what learn writes for them is short, and ci holds it."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.command import CI, LEARN, buildperm, environment, member
from tests.git_repository import commit, git

ASKS_CARGO = """
use std::process::Command;
fn main() {
    let cargo = std::env::var_os("CARGO").unwrap();
    let told = Command::new(cargo).args(["metadata", "--format-version", "1", "--offline"])
        .output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
}
"""
BUILDS = """
use std::process::Command;
fn main() {
    let (out, here) = (std::env::var("OUT_DIR").unwrap(), env!("CARGO_MANIFEST_DIR"));
    let told = Command::new(std::env::var_os("CARGO").unwrap())
        .args(["build", "--offline", "--manifest-path", &format!("{here}/helper/Cargo.toml")])
        .args(["--target-dir", &format!("{out}/helper")]).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert!(Command::new(format!("{out}/helper/debug/helper")).status().unwrap().success());
}
"""
NESTED = 'fn main() { println!("cargo:rerun-if-changed=build.rs"); %s }'


def _helper(workspace: Path, code: str = "") -> None:
    folder = workspace / "sample/helper"
    (folder / "src").mkdir(parents=True)
    package = '[package]\nname = "helper"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n'
    (folder / "Cargo.toml").write_text(package)
    (folder / "src/main.rs").write_text("fn main() {}")
    (folder / "build.rs").write_text(NESTED % code)
    lock = ["cargo", "generate-lockfile", "--offline"]
    subprocess.run(lock, cwd=folder, env=environment(), check=True, capture_output=True)


def _presets(workspace: Path) -> list[str]:
    told = tomllib.loads((workspace / "Cargo.toml").read_text())["workspace"]
    found: list[str] = told["metadata"]["buildperm"]["crates"]["sample"].get("presets", [])
    return found


@pytest.mark.slow
def test_cargo_can_be_asked_about_the_workspace_by_one_preset(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", ASKS_CARGO)
    (workspace / "sample/src/bin").mkdir()
    (workspace / "sample/src/bin/x.rs").write_text("fn main() {}")
    learnt = buildperm(*LEARN, folder=workspace)

    assert learnt.returncode == 0, learnt.stderr
    table = tomllib.loads((workspace / "Cargo.toml").read_text())["workspace"]["metadata"]
    assert table["buildperm"]["crates"]["sample"] == {
        "reviewed": ["0.1.0"],
        "presets": ["cargo-metadata"],
    }
    held = buildperm(*CI, folder=workspace)
    assert held.returncode == 0, held.stderr


@pytest.mark.slow
def test_a_nested_build_is_held_to_the_grants_of_the_script(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", BUILDS)
    _helper(workspace)
    learnt = buildperm(*LEARN, folder=workspace)

    assert learnt.returncode == 0, learnt.stderr
    assert _presets(workspace) == ["cargo-build", "cc"]
    held = buildperm(*CI, folder=workspace)
    assert held.returncode == 0, held.stderr

    _helper_reads = 'std::fs::read("/etc/hostname").unwrap();'
    (workspace / "sample/helper/build.rs").write_text(NESTED % _helper_reads)
    (workspace / "sample/build.rs").write_text(BUILDS + "\n")
    held = buildperm(*CI, folder=workspace)
    assert held.returncode == 20, held.stderr
    assert "/etc/hostname" in held.stderr + held.stdout


TELLS = """
use std::process::Command;
fn main() {
    println!("cargo::rerun-if-env-changed=AGAIN");
    let out = std::env::var("OUT_DIR").unwrap();
    let mut told = String::new();
    for words in WORDS {
        let one = Command::new(&words[0]).args(&words[1..]).output().unwrap();
        told += &format!("{words:?} {}\\n{}", one.status, String::from_utf8_lossy(&one.stdout));
    }
    std::fs::write(format!("{out}/told"), told).unwrap();
}
"""
RUNTIMES = ("portable", "full")


def _told(workspace: Path, command: str) -> str:
    """Return what a script has told in the last build by a command, and forget it."""
    (path,) = workspace.glob(f"target/{command}/**/out/told")
    told = path.read_text()
    path.unlink()
    return told


@pytest.mark.slow
@pytest.mark.parametrize("learning", RUNTIMES)
def test_what_tools_only_look_at_is_learnt_and_then_told_in_each_runtime(
    tmp_path: Path, learning: str
) -> None:
    """Git calls a tree dirty if files of it are not there; Cargo leaves targets out."""
    asked = """[
        vec!["git".to_owned(), "describe".into(), "--always".into(), "--dirty".into()],
        vec![
            std::env::var("CARGO").unwrap(), "metadata".into(), "--offline".into(),
            "--format-version=1".into(), "--no-deps".into(),
        ],
    ]"""
    workspace = member(tmp_path / "ws", TELLS.replace("WORDS", asked))
    manifest = workspace / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace('["sample"]', '["sample", "other"]'))
    other = workspace / "other"
    (other / "src").mkdir(parents=True)
    (other / "Cargo.toml").write_text('[package]\nname = "other"\nversion = "0.1.0"\n')
    for name in ("src/lib.rs", "src/main.rs", "build.rs"):
        (other / name).write_text("fn main() {}\n")
    (other / "README.md").write_text("# Other\n")
    (workspace / "notes.txt").write_text("x\n")
    (workspace / ".gitignore").write_text("target\n")
    cargo = ["cargo", "build", "--offline"]
    subprocess.run(cargo, cwd=workspace, env=environment(), check=True, capture_output=True)
    git(workspace, "init", "--quiet")
    commit(workspace, "all")

    learnt = buildperm(*LEARN, folder=workspace, extra={"BUILDPERM_RUNTIME": learning})

    assert learnt.returncode == 0, learnt.stderr
    commit(workspace, "grants")
    again = environment({"AGAIN": "1"})
    subprocess.run(cargo, cwd=workspace, env=again, check=True, capture_output=True)
    plain = _told(workspace, "debug")
    assert "README.md" in plain
    assert "custom-build" in plain
    assert "-dirty\n" not in plain
    for runtime in RUNTIMES:
        held = buildperm(*CI, folder=workspace, extra={"BUILDPERM_RUNTIME": runtime, "AGAIN": "1"})
        assert held.returncode == 0, held.stderr
        assert _told(workspace, "buildperm/ci") == plain


ASKS_GIT = """
use std::process::Command;
fn main() {
    let told = Command::new("git").args(["describe", "--always"]).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
}
"""


def _work_tree(kind: str, root: Path) -> Path:
    """Make a workspace that is a work tree of a repository elsewhere; return the workspace."""
    main = member(root / "main", ASKS_GIT)
    (main / ".gitignore").write_text("target\nCargo.lock\n")
    git(main, "init", "--quiet")
    commit(main, "all")
    if kind == "worktree":
        git(main, "worktree", "add", "--quiet", "--detach", str(root / "other"))
        return root / "other"
    above = root / "above"
    above.mkdir()
    git(above, "init", "--quiet")
    adding = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add")
    git(above, *adding, str(main), "sub/module")
    return above / "sub/module"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["worktree", "submodule"])
def test_git_is_one_preset_in_every_kind_of_work_tree(kind: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    workspace = _work_tree(kind, home)
    rust = {"CARGO_HOME": os.environ.get("CARGO_HOME", str(Path.home() / ".cargo"))}
    rust["RUSTUP_HOME"] = os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup"))
    surroundings = {**rust, "HOME": str(home)}
    learnt = buildperm(*LEARN, folder=workspace, extra=surroundings)

    assert learnt.returncode == 0, learnt.stderr
    table = tomllib.loads((workspace / "Cargo.toml").read_text())["workspace"]["metadata"]
    assert table["buildperm"]["crates"]["sample"] == {"reviewed": ["0.1.0"], "presets": ["git"]}
    held = buildperm(*CI, folder=workspace, extra=surroundings)
    assert held.returncode == 0, held.stderr
