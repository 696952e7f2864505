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


@pytest.mark.parametrize("runtime", ["portable", "full"])
@pytest.mark.slow
def test_who_looks_for_libraries_where_cargo_says_is_learnt_by_check_and_held_in_builds(
    tmp_path: Path, runtime: str
) -> None:
    """Only `cargo build` names in LD_LIBRARY_PATH what build dependencies have it search."""
    extra = {"BUILDPERM_RUNTIME": runtime}
    folder = workspace(tmp_path / "ws", "native", "finder")
    crate(
        folder / "native",
        """fn main() {
    let lib = std::path::Path::new(&std::env::var("OUT_DIR").unwrap()).join("lib");
    std::fs::create_dir_all(&lib).unwrap();
    std::fs::write(lib.join("libx.a"), b"!<arch>\\n").unwrap();
    println!("cargo::rustc-link-search=native={}", lib.display());
    std::fs::write(lib.parent().unwrap().join("beside"), "").unwrap();
}""",
    )
    crate(
        folder / "finder",
        """fn main() {
    let folders = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    for folder in folders.split(':').filter(|each| each.ends_with("/out/lib")) {
        let there: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().collect();
        println!("cargo::warning=looked at {}", there.len());
        if cfg!(feature = "more") {
            let beside = std::path::Path::new(folder).with_file_name("beside");
            println!("cargo::warning=beside {}", std::fs::read(beside).is_ok());
        }
    }
}""",
        manifest='[features]\nmore = []\n[build-dependencies]\nnative = { path = "../native" }\n',
    )

    learnt = buildperm(*LEARN, folder=folder, extra=extra)
    held = buildperm(*CI, folder=folder, extra=extra)
    more = buildperm(*CI, "--", "-p", "finder", "--features", "more", folder=folder, extra=extra)

    assert learnt.returncode == 0, learnt.stdout + learnt.stderr
    assert held.returncode == 0, held.stdout + held.stderr
    assert "looked at 1" in held.stderr
    assert more.returncode == 20, more.stdout + more.stderr
    assert "beside false" in more.stderr
