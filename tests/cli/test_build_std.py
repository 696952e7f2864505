"""Build scripts of the standard library are held, where Cargo builds it anew: `-Zbuild-std`.

The tool chain is the machine's own in another folder, with a standard library that is tiny.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.cargo.workspaces import QUIET, vendor
from tests.command import CI, LEARN, buildperm

WORDS = ("--", "build", "-Zbuild-std=core", "--target")
SOURCES = "lib/rustlib/src/rust/library"
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
KEY = f"path+$SYSROOT/{SOURCES}/compiler_builtins#compiler_builtins"
EMPTY = "#![feature(no_core)]\n#![no_core]\n#![allow(internal_features)]\n"
SCRIPT = """
fn main() {
    println!("cargo::rerun-if-env-changed=STD_MODE");
    let own = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    std::fs::read(own.clone() + "/src/lib.rs").unwrap();
    assert_eq!(std::env::var("STD_MODE").as_deref(), Ok("small"));
}
"""
FEATURES = "[features]\npanic-unwind = []\nbacktrace = []\ndefault = []\n"
CORE = '[dependencies]\ncore = { path = "../core" }\n'
PACKAGES = {
    "core": FEATURES,
    "compiler_builtins": CORE,
    "std": FEATURES + CORE + 'compiler_builtins = { path = "../compiler_builtins" }\n',
}
LOCK = """version = 4
[[package]]
name = "compiler_builtins"
version = "0.0.0"
dependencies = ["core"]
[[package]]
name = "core"
version = "0.0.0"
[[package]]
name = "std"
version = "0.0.0"
dependencies = ["compiler_builtins", "core"]
"""


def _ask(*words: str) -> str:
    told = subprocess.run(["rustc", *words], capture_output=True, text=True, check=True)
    return told.stdout


def _link(source: str, to: str) -> None:
    try:
        os.link(source, to)
    except OSError:  # Another file system, or files of another user.
        shutil.copy2(source, to)


def _tool_chain(to: Path, host: str) -> Path:
    """Make a tool chain in a folder; return it."""
    real = Path(_ask("--print", "sysroot").strip())
    if real.is_relative_to("/usr") and not real.is_relative_to("/usr/local"):
        pytest.skip("no Rust in a folder of its own")
    beside = shutil.ignore_patterns("rustlib")
    shutil.copytree(real / "bin", to / "bin", copy_function=_link, symlinks=True)
    shutil.copytree(real / "lib", to / "lib", copy_function=_link, symlinks=True, ignore=beside)
    own = f"lib/rustlib/{host}"
    shutil.copytree(real / own, to / own, copy_function=_link, symlinks=True)
    library = to / SOURCES
    for name, rest in PACKAGES.items():
        (library / name / "src").mkdir(parents=True)
        (library / name / "src/lib.rs").write_text(EMPTY)
        about = f'[package]\nname = "{name}"\nversion = "0.0.0"\nedition = "2021"\n'
        (library / name / "Cargo.toml").write_text(about + rest)
    (library / "compiler_builtins/build.rs").write_text(SCRIPT)
    (library / "Cargo.toml").write_text('[workspace]\nresolver = "1"\nmembers = ["std"]\n')
    (library / "Cargo.lock").write_text(LOCK)
    return to


def _variables(tool_chain: Path, **more: str) -> dict[str, str]:
    found = {"RUSTC_BOOTSTRAP": "1", "STD_MODE": "small", **more}
    return {**found, "PATH": f"{tool_chain / 'bin'}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def host() -> str:
    """Return the triple of this machine."""
    return next(line[6:] for line in _ask("-vV").splitlines() if line.startswith("host: "))


@pytest.fixture(scope="module")
def tool_chain(tmp_path_factory: pytest.TempPathFactory, host: str) -> Path:
    """Return the tool chain of this machine."""
    return _tool_chain(tmp_path_factory.mktemp("rust") / "one", host)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Return a workspace that needs nothing but the standard library."""
    folder = tmp_path / "app"
    (folder / "src").mkdir(parents=True)
    about = '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n'
    (folder / "Cargo.toml").write_text(about)
    (folder / "src/lib.rs").write_text(EMPTY)
    return folder


@pytest.mark.slow
def test_grants_to_the_standard_library_hold_with_another_tool_chain(
    workspace: Path, tool_chain: Path, host: str, tmp_path: Path
) -> None:
    words = (*WORDS, host)
    learnt = buildperm(*LEARN, *words, folder=workspace, extra=_variables(tool_chain))
    assert learnt.returncode == 0, learnt.stderr
    told = tomllib.loads((workspace / "Cargo.toml").read_text())["workspace"]["metadata"]
    assert told["buildperm"]["crates"] == {KEY: {"reviewed": ["0.0.0"], "env": ["STD_MODE"]}}
    # It comes with the tool chain: whoever has another one has nothing to review.
    assert "compiler_builtins" not in (workspace / "buildperm.lock").read_text()

    other = _tool_chain(tmp_path / "other", host)
    library = other / SOURCES
    for file in (library / "Cargo.lock", library / "compiler_builtins/Cargo.toml"):
        text = file.read_text()
        file.write_text(
            text.replace('builtins"\nversion = "0.0.0"', 'builtins"\nversion = "0.1.7"')
        )
    held = buildperm(*CI, "--require-reviewed", *words, folder=workspace, extra=_variables(other))
    assert held.returncode == 0, held.stderr
    assert "1 build script held" in held.stderr
    again = buildperm("learn", "--no-tui", *words, folder=workspace, extra=_variables(other))
    assert again.returncode == 0, again.stderr
    assert "is new" not in again.stderr + again.stdout

    build = SCRIPT.replace("assert_eq", 'let _ = std::fs::read("/etc/shadow"); assert_eq', 1)
    (library / "compiler_builtins/build.rs").write_text(build)
    # Cargo takes a tool chain for unchanged as long as it is in the same place.
    anew = _variables(other, CARGO_TARGET_DIR=str(tmp_path / "anew"))
    refused = buildperm(*CI, *words, folder=workspace, extra=anew)
    assert refused.returncode == 20, refused.stderr
    assert "/etc/shadow" in refused.stdout + refused.stderr


@pytest.mark.slow
def test_the_configuration_can_ask_for_it_too(workspace: Path, tool_chain: Path, host: str) -> None:
    (workspace / ".cargo").mkdir()
    settings = f'[unstable]\nbuild-std = ["core"]\n[build]\ntarget = "{host}"\n'
    (workspace / ".cargo/config.toml").write_text(settings)

    # Nothing is granted, so the script finds no variable.
    refused = buildperm(*CI, folder=workspace, extra=_variables(tool_chain))
    assert refused.returncode == 20, refused.stderr
    assert KEY in refused.stdout + refused.stderr
    assert "STD_MODE" in refused.stdout + refused.stderr

    (workspace / "src/lib.rs").write_text("")
    stable = {**_variables(tool_chain), "RUSTC_BOOTSTRAP": "0"}
    ignored = buildperm(*CI, folder=workspace, extra=stable)
    assert "compiler_builtins" not in ignored.stdout + ignored.stderr


def test_no_other_folder_passes_for_the_standard_library(
    workspace: Path, tool_chain: Path, host: str
) -> None:
    foreign = shutil.copytree(tool_chain / SOURCES, workspace / "rust/library")
    there = _variables(tool_chain, __CARGO_TESTS_ONLY_SRC_ROOT=str(foreign))

    refused = buildperm(*CI, *WORDS, host, folder=workspace, extra=there)

    assert refused.returncode == 2, refused.stderr
    assert f"takes the standard library from `{foreign}" in refused.stderr
    assert "rust-src" in refused.stderr


@pytest.mark.slow
def test_what_the_workspace_vendors_of_it_is_reviewed(
    workspace: Path, host: str, tmp_path: Path
) -> None:
    own = _tool_chain(tmp_path / "own", host)
    vendor(workspace, "helper", "1.2.3", QUIET)
    (workspace / "vendor/helper-1.2.3/src/lib.rs").write_text(EMPTY)
    listed = json.loads((workspace / "vendor/helper-1.2.3/.cargo-checksum.json").read_text())
    library = own / SOURCES
    with (library / "compiler_builtins/Cargo.toml").open("a") as file:
        file.write('helper = "1"\n')
    locked = f'[[package]]\nname = "helper"\nversion = "1.2.3"\nsource = "{CRATES_IO}"\n'
    locked += f'checksum = "{listed["package"]}"\n'
    text = LOCK.replace('["core"]', '["core", "helper"]')
    (library / "Cargo.lock").write_text(text + locked)
    words, there = (*WORDS, host), _variables(own)

    learnt = buildperm(*LEARN, *words, folder=workspace, extra=there)
    assert learnt.returncode == 0, learnt.stderr
    assert 'crate = "helper"' in (workspace / "buildperm.lock").read_text()
    held = buildperm(*CI, "--require-reviewed", *words, folder=workspace, extra=there)
    assert held.returncode == 0, held.stderr

    (workspace / "vendor/helper-1.2.3/build.rs").write_text(QUIET + "// Changed.\n")
    changed = buildperm(*CI, "--require-reviewed", *words, folder=workspace, extra=there)
    assert changed.returncode == 21, changed.stderr
    assert "helper" in changed.stdout + changed.stderr
