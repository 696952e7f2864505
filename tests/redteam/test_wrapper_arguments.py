"""Words that crates and flags put on rustc's command line, which the wrapper reads.

The wrapper once read that line otherwise than rustc does: it removed a file anywhere, or saw no
build script where there was one.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.command import buildperm
from tests.programs import program_text

ERASES = program_text("erases.rs")
HONEST = program_text("odd_cfg_values.rs")
# It does not compile unless each of them has arrived.
ARRIVED = r"""
#[cfg(not(all(mark = "--crate-name=x", mark = "@x", mark = "-", mark = "ä b")))]
compile_error!("a value is missing");
pub const FLAGS: &str = env!("FLAGS");
"""
WRITES = r"""
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let _ = std::fs::write(format!("{folder}/../written"), "x");
}
"""


def _member(workspace: Path, name: str, build: str, source: str = "") -> None:
    folder = workspace / name
    (folder / "src").mkdir(parents=True)
    (folder / "Cargo.toml").write_text(
        f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n'
    )
    (folder / "src/lib.rs").write_text(source)
    (folder / "build.rs").write_text(build)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / "Cargo.toml").write_text(
        '[workspace]\nmembers = ["*"]\nexclude = [".cargo", "target"]\n'
    )
    (folder / "precious").write_text("mine")
    return folder


def test_no_directive_has_the_wrapper_remove_a_file(workspace: Path) -> None:
    _member(workspace, "eraser", ERASES)
    _member(workspace, "honest", HONEST, ARRIVED)
    report = workspace.parent / "report.json"

    ran = buildperm(
        "ci", "--report", f"json={report}", "--", "check", "--keep-going", folder=workspace
    )

    assert (workspace / "precious").read_text() == "mine"
    assert ran.returncode == 20, ran.stderr
    scripts = {each["crate"]: each for each in json.loads(report.read_text())["scripts"]}
    refused = {
        access["target"]
        for finding in scripts["eraser"]["findings"]
        for access in finding["accesses"]
        if access["outcome"] == "refused"
    }
    assert {each.partition("build_script")[0] for each in refused} >= {
        "rustc-cfg=--crate-name=",
        "rustc-cfg=--crate-type=bin",
        "rustc-cfg=--emit=link",
        "rustc-cfg=-Cextra-filename=",
    }
    assert not scripts["honest"]["findings"]
    assert not list(workspace.glob("precious?*"))
    assert list(workspace.glob("target/buildperm/ci/debug/deps/libhonest-*.rmeta"))


@pytest.mark.parametrize("flags", [["--emit=asm"], ["--emit", "asm,llvm-ir"]])
@pytest.mark.quick(1)
def test_no_flag_hides_a_build_script(workspace: Path, flags: list[str]) -> None:
    _member(workspace, "writer", WRITES)
    (workspace / ".cargo").mkdir()
    (workspace / ".cargo/config.toml").write_text(f"[build]\nrustflags = {flags}\n")

    ran = buildperm("ci", "--", "check", folder=workspace)

    assert not (workspace / "written").exists()
    assert ran.returncode == 20, ran.stderr
    assert "writer" in ran.stdout


WRAPPER = Path(__file__).parents[2] / "cargo/rustc-wrapper.sh"


def test_a_library_is_compiled_whatever_its_flags_say(tmp_path: Path) -> None:
    """What the gate keeps away must not do harm either, should it come."""
    rustc, called = tmp_path / "rustc", tmp_path / "called"
    rustc.write_text(f"#!/bin/sh\necho \"$*\" >'{called}'\n")
    rustc.chmod(0o755)
    (tmp_path / "stub").write_text("#!/bin/sh\n")
    (tmp_path / "debug/build/a-1/build_script_x").mkdir(parents=True)
    victim = tmp_path / "debug/build/a-1/build_script_victim"
    victim.write_text("mine")
    words = ["--crate-name", "a", "src/lib.rs", "--crate-type", "lib", "--out-dir", str(tmp_path)]
    for each in (
        "--crate-name=build_script_victim",
        "--crate-name=build_script_x/../build_script_victim",
        "--crate-type=bin",
        "--emit=link",
        f"--out-dir={tmp_path}/debug/build/a-1",
        "-Cextra-filename=",
    ):
        words += ["--cfg", each]
    told = os.environ | {
        "BUILDPERM_TARGET": str(tmp_path.resolve()),
        "BUILDPERM_STUB": str(tmp_path / "stub"),
        "CARGO_CRATE_NAME": "a",
    }

    subprocess.run(["sh", WRAPPER, rustc, *words], env=told, check=True)

    assert called.read_text().startswith("--crate-name a src/lib.rs")
    assert victim.read_text() == "mine"
    assert not list(tmp_path.rglob("*.real"))
