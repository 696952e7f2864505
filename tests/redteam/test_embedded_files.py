"""Crates that have rustc or the assembler carry what they must not have into them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.command import buildperm, environment
from tests.redteam.packages import crate, workspace

TOKEN = {"ATTACKED_TOKEN": "0123456789"}
ATTACKS = {
    "include-str": 'pub const T: &str = include_str!("{file}");',
    "include": 'include!("{file}");',
    "module": '#[path = "{file}"] pub mod stolen;',
    "by-link": 'pub const T: &str = include_str!("harmless.rs");',
    "by-proc": 'pub const T: &str = include_str!("/proc/self/root{file}");',
    "assembler": 'std::arch::global_asm!(".section .rodata", ".incbin \\"{file}\\"", ".text");',
    "variable": 'pub const T: &str = env!("ATTACKED_TOKEN");',
    "quietly": 'pub const T: Option<&str> = option_env!("ATTACKED_TOKEN");',
    "script": "",
}
SCRIPT = 'fn main() {{ let _ = include_str!("{file}"); }}'
HONEST = (
    'pub const A: &str = include_str!("../Cargo.toml");\n'
    'pub const B: &str = env!("CARGO_PKG_NAME");\n'
    'pub const C: Option<&str> = option_env!("NOT_THERE");\n'
)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("embedded")
    (top / "elsewhere").mkdir()
    file = top / "elsewhere/stolen.rs"
    file.write_text("pub const THEIRS: u8 = 1;\n")
    folder = workspace(top / "ws", "honest", *ATTACKS)
    crate(folder / "honest", source=HONEST)
    for name, source in ATTACKS.items():
        build = SCRIPT.format(file=file) if name == "script" else ""
        crate(folder / name, build, source=source.format(file=file))
    (folder / "by-link/src/harmless.rs").symlink_to(file)
    return folder


@pytest.mark.slow
def test_all_of_it_is_possible_where_nobody_holds_compilers(attacked: Path) -> None:
    plain = subprocess.run(
        ["cargo", "build", "-q"],
        cwd=attacked,
        env=environment(TOKEN),
        capture_output=True,
        text=True,
        check=False,
    )

    assert plain.returncode == 0, plain.stderr


def test_none_of_it_is_possible_and_each_crate_is_named(attacked: Path) -> None:
    words = ("build", "--keep-going")
    held = buildperm("ci", "--format", "json", "--", *words, folder=attacked, extra=TOKEN)

    assert held.returncode == 20, held.stderr
    report = json.loads(held.stdout)
    refused = [each for each in report["findings"] if each["rule"] != "build-failed"]
    told = {each["crate"]: "\n".join(each["details"]) for each in refused}
    assert told.keys() == ATTACKS.keys()
    file = attacked.parent / "elsewhere/stolen.rs"
    for name, said in told.items():
        wanted = "env ATTACKED_TOKEN" if name in ("variable", "quietly") else f"read {file}"
        assert f"{wanted}: refused" in said, name
    by = {each["subject"] for finding in report["findings"] for each in finding["by"]}
    assert by == {"compile"}
