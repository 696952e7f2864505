"""`ci --runtime wasi`: from the native run to the module that runs in its place."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from buildperm.cache import digest
from tests.command import buildperm, environment, member
from tests.modules import ModuleText

BODY = r"""
    let out = std::env::var("OUT_DIR").unwrap();
    let read = std::fs::read_to_string("data").unwrap();
    std::fs::write(out + "/made", &read).unwrap();
    println!("cargo::rerun-if-changed=data");
    eprintln!("said");
"""
_WASM = "wasm32-wasip1"


class WasiBuild:
    """A workspace with one script, and a rustc that has a module of it ready."""

    def __init__(self, top: Path, body: str = BODY, grants: str = "", out: int = 5) -> None:
        self.workspace = member(top / "ws", f"fn main() {{\n{body}\n}}\n")
        self.data = self.workspace / "sample/data"
        self.data.write_text("data")
        manifest = self.workspace / "Cargo.toml"
        manifest.write_text(
            f"{manifest.read_text()}\n[workspace.metadata.buildperm]\nversion = 1\n"
            f'[workspace.metadata.buildperm.crates.sample]\nreviewed = ["0.1.0"]\n{grants}'
        )
        self.module, self.cache = top / "module.wasm", top / "cache"
        self.cache.mkdir()
        # Descriptors count from 3: package, what else was granted, package again, OUT_DIR.
        module = ModuleText().leaves(out, b"made", b"data")
        module.says(b"cargo::rerun-if-changed=data\n").says(b"said\n", "i32.const 2")
        self.module.write_bytes(module.binary())

    def ci(self, *words: str) -> dict[str, Any]:
        """Build from nothing; return what the report says of the script's run as WASI."""
        shutil.rmtree(self.workspace / "target", ignore_errors=True)
        program = Path(__file__).parents[1] / "children/ci_with_module.py"
        given = ("ci", "--runtime", "wasi", "--report", "json=report.json", *words)
        self.ended = subprocess.run(
            [sys.executable, program, self.module, *given],
            cwd=self.workspace,
            env=environment({"XDG_CACHE_HOME": str(self.cache)}),
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert self.ended.returncode == 0, self.ended.stderr
        report: dict[str, Any] = json.loads((self.workspace / "report.json").read_bytes())
        ((told,),) = [script["wasi"] for script in report["scripts"]]
        return dict(told)

    def made(self) -> bytes:
        (path,) = self.workspace.glob("target/buildperm/ci/**/out/made")
        return path.read_bytes()


@pytest.mark.slow
def test_a_module_runs_in_place_of_the_script_once_the_same_came_of_it(tmp_path: Path) -> None:
    build = WasiBuild(tmp_path)

    assert build.ci()["outcome"] == "equal"
    assert build.ci()["outcome"] == "in-place"
    assert "buildperm: run as WASI; compared with the native run 20" in build.ended.stderr
    assert build.made() == b"data"
    (recording,) = build.workspace.glob("target/buildperm/ci/**/recording.jsonl")
    assert "compared_s" in json.loads(recording.read_text().partition("\n")[0])["wasi"]

    # Something that it reads has changed: only the native run can say what comes of that.
    build.data.write_text("other")
    assert build.ci()["outcome"] == "differs"
    assert build.ci()["outcome"] == "differs"
    assert build.made() == b"other"


@pytest.mark.slow
def test_what_is_put_in_the_place_of_a_believed_module_does_not_count(tmp_path: Path) -> None:
    build = WasiBuild(tmp_path)
    assert build.ci()["outcome"] == "equal"
    (module,) = build.cache.glob("buildperm/wasi/*.wasm")
    whole = module.read_bytes()

    module.write_bytes(whole.replace(b"data", b"evil"))
    assert build.ci()["outcome"] == "equal"  # Native, and compared anew.
    assert build.made() == b"data"

    # With a digest that fits, it still has to do what the native run did.
    module.write_bytes(whole.replace(b"data", b"evil"))
    named = digest.of(module.read_bytes())
    module.with_name(module.name + ".digest").write_text(named)
    assert build.ci()["outcome"] == "equal"
    assert build.made() == b"data"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "grants", "why"),
    [
        ('std::process::Command::new("true").status().ok();', 'exec = ["true"]\n', "it runs true"),
        ('std::fs::read("/proc/cpuinfo").ok();', "", "it reads /proc/cpuinfo"),
        (
            'std::fs::read("/etc/os-release").unwrap();',
            'read = ["/etc/os-release", "/usr/lib/os-release"]\n',
            "/os-release, which is in no folder of its own",
        ),
        ('std::fs::read("../shared/x").unwrap();', 'read = ["$WORKSPACE/shared/**"]\n', ""),
    ],
    ids=["program", "kernel", "file", "folder"],
)
def test_a_script_is_tried_where_wasi_has_what_it_uses(
    tmp_path: Path, more: str, grants: str, why: str
) -> None:
    build = WasiBuild(tmp_path, BODY + more, grants, 5 if why else 6)
    (build.workspace / "shared").mkdir()
    (build.workspace / "shared/x").write_text("x")

    told = build.ci()

    assert told["outcome"] == ("not-tried" if why else "equal")
    assert why in told["why"]


def test_without_the_targets_library_nothing_is_built(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", "fn main() {}\n")
    tools = tmp_path / "tools"
    (tools / "bin").mkdir(parents=True)
    real = subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip()
    rustc = tools / "bin/rustc"
    rustc.write_text(
        f'#!/bin/sh\ncase "$*" in\n"--print sysroot") echo {tools}; exit;;\n'
        f'*"target-libdir --target {_WASM}") echo {tools}/lib; exit;;\n'
        f'esac\nexec {real}/bin/rustc "$@"\n'
    )
    rustc.chmod(0o755)
    (tools / "bin/cargo").symlink_to(f"{real}/bin/cargo")
    extra = {"XDG_CACHE_HOME": str(tmp_path), "RUSTC": str(rustc)}

    ended = buildperm("ci", "--runtime", "wasi", folder=workspace, extra=extra)

    assert ended.returncode == 23
    assert f"the tool chain has no standard library for {_WASM}" in ended.stderr
    assert "rustup target add" in ended.stderr
    assert not (workspace / "target/buildperm/ci/debug").exists()


@pytest.mark.parametrize("command", ["learn", "review"])
def test_what_needs_a_recorder_names_the_runtimes_that_have_one(
    tmp_path: Path, command: str
) -> None:
    ended = buildperm(command, "--runtime", "wasi", folder=tmp_path)

    assert ended.returncode == 2
    assert "'portable'" in ended.stderr


def test_no_file_of_a_workspace_turns_it_on(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", "fn main() {}\n")
    manifest = workspace / "Cargo.toml"
    table = '\n[workspace.metadata.buildperm]\nversion = 1\nruntime = "wasi"\n'
    manifest.write_text(manifest.read_text() + table)

    ended = buildperm("ci", folder=workspace, extra={"XDG_CACHE_HOME": os.fspath(tmp_path)})

    assert ended.returncode != 0
    assert "wasi" in ended.stderr


@pytest.mark.slow
def test_doctor_says_what_is_lacking_where_it_is_asked_for(tmp_path: Path) -> None:
    extra = {"BUILDPERM_RUNTIME": "wasi"}

    asked = buildperm("doctor", folder=tmp_path, extra=extra)
    ended = buildperm("doctor", folder=tmp_path)

    assert "wasi, an experiment: " in asked.stdout
    assert "wasi, an experiment: " not in ended.stdout
    assert asked.returncode == ended.returncode
