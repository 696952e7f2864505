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

from tests.command import buildperm, member
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

    def __init__(self, top: Path) -> None:
        pytest.importorskip("wasmtime", reason="no wasmtime")
        self.workspace = member(top / "ws", f"fn main() {{\n{BODY}\n}}\n")
        self.data = self.workspace / "sample/data"
        self.data.write_text("data")
        manifest = self.workspace / "Cargo.toml"
        manifest.write_text(
            f"{manifest.read_text()}\n[workspace.metadata.buildperm]\nversion = 1\n"
            'compile = "off"\n[workspace.metadata.buildperm.crates.sample]\nreviewed = ["0.1.0"]\n'
        )
        self.tools, self.cache = top / "tools", top / "cache"
        (self.tools / "bin").mkdir(parents=True)
        (self.tools / "lib").mkdir()
        self.cache.mkdir()
        self.std = self.tools / "lib/libstd-0.rlib"
        self.std.write_text("")
        real = shutil.which("rustc")
        assert real is not None
        real = subprocess.check_output([real, "--print", "sysroot"], text=True).strip()
        self.rustc = self.tools / "bin/rustc"
        self.rustc.write_text(
            "#!/bin/sh\n"
            f'case "$*" in\n*"target-libdir --target {_WASM}") echo {self.tools}/lib; exit;;\n'
            f'*"--target {_WASM}"*) exec cp {self.tools}/module "${{_OUT:-$HOME/script.wasm}}";;\n'
            f'esac\nexec {real}/bin/rustc "$@"\n'
        )
        self.rustc.chmod(0o755)
        self.makes(b"data")

    def makes(self, text: bytes) -> None:
        """Have the module leave another text than the script reads."""
        module = ModuleText().leaves(5, b"made", text)
        module.says(b"cargo::rerun-if-changed=data\n").says(b"said\n", "i32.const 2")
        (self.tools / "module").write_bytes(module.binary())

    def ci(self, *words: str) -> dict[str, Any]:
        """Build from nothing; return what the report says of the script's run as WASI."""
        shutil.rmtree(self.workspace / "target", ignore_errors=True)
        extra = {"XDG_CACHE_HOME": str(self.cache), "RUSTC": str(self.rustc)}
        given = ("ci", "--runtime", "wasi", "--report", "json=report.json", *words)
        self.ended = buildperm(*given, folder=self.workspace, extra=extra)
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

    # It has its digest, as whoever has this cache can write one: it has to do the same all the same.
    module.write_bytes(whole.replace(b"data", b"evil"))
    code = "import sys;from buildperm.cache import digest;print(digest.of(open(sys.argv[1],'rb').read()),end='')"
    named = subprocess.check_output([sys.executable, "-c", code, str(module)])
    module.with_name(module.name + ".digest").write_bytes(named)
    assert build.ci()["outcome"] == "equal"
    assert build.made() == b"data"


def test_without_the_targets_library_nothing_is_built(tmp_path: Path) -> None:
    build = WasiBuild(tmp_path)
    build.std.unlink()

    extra = {"XDG_CACHE_HOME": str(build.cache), "RUSTC": str(build.rustc)}
    ended = buildperm("ci", "--runtime", "wasi", folder=build.workspace, extra=extra)

    assert ended.returncode == 23
    assert f"the tool chain has no standard library for {_WASM}" in ended.stderr
    assert "rustup target add" in ended.stderr
    assert not (build.workspace / "target/buildperm/ci/debug").exists()


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
