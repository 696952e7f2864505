"""Crates that leave files for one another in the target directory, as cxx and scratch have it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.command import CI, LEARN, buildperm
from tests.redteam.packages import crate, workspace

FINDS_TARGET = """
use std::{env, fs, os::unix::fs::symlink, path::{Path, PathBuf}};
fn share(to: PathBuf) {
    let made = Path::new(&env::var("OUT_DIR").unwrap()).join("x.h");
    fs::write(&made, "shared").unwrap();
    fs::create_dir_all(&to).unwrap();
    let link = to.join("x.h");
    let _ = fs::remove_file(&link);
    symlink(&made, &link).unwrap();
    assert_eq!(fs::read_to_string(&link).unwrap(), "shared");
}
fn target() -> PathBuf {
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    out.ancestors().find(|each| each.join("CACHEDIR.TAG").exists()).unwrap().to_owned()
}
"""
ONE = FINDS_TARGET + 'fn main() { share(target().join("bridge/one")); }'
TWO = (
    FINDS_TARGET
    + """fn main() {
    let other = fs::read_to_string(target().join("bridge/one/x.h"));
    share(target().join("bridge/two"));
    assert_eq!(other.unwrap(), "shared");
}"""
)
THREE = FINDS_TARGET + 'fn main() { share(scratch::path("bridge").join("three")); }'
SCRATCH = """
pub fn path(name: &str) -> std::path::PathBuf {
    let made = std::path::Path::new(env!("OUT_DIR")).join(name);
    std::fs::create_dir_all(&made).unwrap();
    made
}
"""


@pytest.mark.parametrize("runtime", ["portable", "full"])
@pytest.mark.slow
def test_what_was_learnt_of_shared_folders_holds_in_a_clean_checkout(
    tmp_path: Path, runtime: str
) -> None:
    extra = {"BUILDPERM_RUNTIME": runtime}
    folder = workspace(tmp_path / "ws", "one", "two", "three", "scratch")
    needs_one = '[dependencies]\none = { path = "../one" }\n'
    needs_scratch = '[build-dependencies]\nscratch = { path = "../scratch" }\n'
    crate(folder / "one", ONE, manifest='links = "one"\n')
    crate(folder / "two", TWO, manifest=needs_one)
    crate(folder / "three", THREE, manifest=needs_scratch)
    crate(folder / "scratch", "fn main() {}", source=SCRATCH)

    learnt = buildperm(*LEARN, folder=folder, extra=extra)
    again = buildperm(*LEARN, folder=folder, extra=extra) if learnt.returncode else learnt

    assert again.returncode == 0, learnt.stdout + learnt.stderr + again.stdout + again.stderr
    grants = (folder / "Cargo.toml").read_text()
    assert grants.count('write = ["$TARGET_DIR/bridge/**"]') == 2
    assert 'write = ["$TARGET_DIR/**/build/scratch-*/out/bridge/**"]' in grants
    checkout = tmp_path / "checkout"
    shutil.copytree(folder, checkout, ignore=shutil.ignore_patterns("target"))
    for more in ((), ("--", "--release")):
        held = buildperm(*CI, *more, folder=checkout, extra=extra)
        assert held.returncode == 0, held.stdout + held.stderr
    assert (checkout / "target/buildperm/ci/bridge/two/x.h").is_symlink()
