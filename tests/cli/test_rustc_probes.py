"""Feature probes as build scripts make them say in a held build what they say in any other."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.command import CI, LEARN, buildperm, environment, member

# Like those of rustix and autocfg, and their neighbours.
SCRIPT = r"""
use std::io::Write;
use std::process::{Command, Stdio};

fn probe(program: &str, words: &[&str], source: &str, folder: Option<&str>) -> String {
    let mut command = Command::new(program);
    command.arg("--crate-type=rlib").args(words);
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    format!("{}, {}", output.status.success(), output.stdout.len() > 99)
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var("RUSTC").unwrap();
    let out = std::env::var("OUT_DIR").unwrap();
    let printed = ["--emit=metadata", "-o", "-", "-"];
    let told = [
        ("works", probe(&rustc, &printed, "pub fn f() {}", None)),
        ("fails", probe(&rustc, &printed, "pub fn", None)),
        ("elsewhere", probe(&rustc, &printed, "pub fn f() {}", Some(&out))),
        ("to-a-folder", probe(&rustc, &["--emit=metadata", "--out-dir", &out, "-"], "", None)),
    ];
    for (name, said) in &told {
        println!("cargo::metadata={name}={said}");
    }
}
"""
EXPECTED = {
    "works": "true, true",
    "fails": "false, false",
    "elsewhere": "true, true",
    "to-a-folder": "true, false",
}
# Reads what lies in the package, so it stays there.
STAYS = r"""
use std::process::{Command, Stdio};
fn main() {
    let rustc = std::env::var("RUSTC").unwrap();
    let words = ["--crate-type=rlib", "--emit=metadata", "-o", "-", "probe.rs"];
    let ended = Command::new(rustc).args(words).stdout(Stdio::null()).status().unwrap();
    println!("cargo::metadata=works={}", ended.success());
}
"""


def _told(target: Path) -> dict[str, str]:
    (output,) = (target / "debug" / "build").glob("*/output")
    found = re.findall(r"^cargo::metadata=(.+?)=(.+)$", output.read_text(), re.MULTILINE)
    return dict(found)


@pytest.mark.slow
def test_probes_say_what_they_say_elsewhere(tmp_path: Path) -> None:
    folder = member(tmp_path, SCRIPT)
    subprocess.run(["cargo", "build", "-q"], cwd=folder, env=environment(), check=True)

    learnt = buildperm(*LEARN, folder=folder)
    held = buildperm(*CI, folder=folder)

    assert (learnt.returncode, held.returncode) == (0, 0), learnt.stderr + held.stderr
    assert "undecided" not in learnt.stderr
    for target in (
        folder / "target",
        *(folder / f"target/buildperm/{way}" for way in ("learn", "ci")),
    ):
        assert _told(target) == EXPECTED
    assert not list(folder.glob("**/rmeta*"))


@pytest.mark.slow
def test_a_probe_that_reads_its_package_is_refused_aloud(tmp_path: Path) -> None:
    folder = member(tmp_path, STAYS)
    (folder / "sample/probe.rs").write_text("pub fn f() {}")

    learnt = buildperm(*LEARN, folder=folder)
    held = buildperm(*CI, folder=folder)

    assert _told(folder / "target/buildperm/learn") == {"works": "false"}
    assert learnt.returncode == 3
    assert held.returncode == 20
    assert "rmeta" in held.stdout
