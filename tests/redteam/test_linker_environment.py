"""What a linker is asked to do by variables, which a build script may have set for rustc."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from buildperm.rules.directive import steers
from tests.bench import compile_c
from tests.programs import program_text

# How it looks, and what is printed about it; Windows.
HARMLESS = str.split("""
    CI TERM COLORTERM NO_COLOR CLICOLOR CLICOLOR_FORCE COLUMNS LIBCTF_DEBUG VCINSTALLDIR
    SOURCE_DATE_EPOCH TZ
""")


@pytest.mark.parametrize("options", [[], ["-Clinker-features=-lld"], ["-Clink-arg=-flto"]])
def test_no_variable_that_a_linker_looks_for_can_be_set(tmp_path: Path, options: list[str]) -> None:
    # BINUTILS_ROOT had gcc read a specification of how to link from OUT_DIR, and run what it said.
    log = tmp_path / "log"
    library = compile_c(
        program_text("logs_getenv.c", LOG=str(log)), tmp_path / "told.so", "-shared", "-fPIC", "-w"
    )
    source = tmp_path / "main.rs"
    source.write_text('fn main() { println!("{}", 1); }\n')
    rustc = shutil.which("rustc")
    assert rustc is not None
    sysroot = subprocess.run(
        [rustc, "--print", "sysroot"], check=True, capture_output=True, text=True
    ).stdout.strip()
    linked = subprocess.run(
        [f"{sysroot}/bin/rustc", "-g", *options, "-o", tmp_path / "main", source],
        env={**os.environ, "LD_PRELOAD": str(library)},
        check=False,
        capture_output=True,
    )
    if linked.returncode:
        pytest.skip("rustc is of another opinion about linkers")

    lines = (line.split() for line in log.read_text().splitlines())
    asked = {name: program for program, name in lines}

    assert "collect2" in asked.values() or "cc" in asked.values()
    assert {name for name in asked if not steers(name)} <= set(HARMLESS), asked


def test_no_variable_that_python_obeys_can_be_set() -> None:
    """A wrapper of rustc or of a linker may be a program in Python."""
    told = subprocess.run(
        [sys.executable, "--help-env"], check=True, capture_output=True, text=True
    ).stdout
    asked = set(re.findall(r"^-?(PYTHON[A-Z0-9_]+)", told, re.MULTILINE))

    assert len(asked) > 20
    assert {name for name in asked if not steers(name)} == set()
