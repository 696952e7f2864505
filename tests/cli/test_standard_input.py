"""`ci -- run` and `ci -- test`: standard input is for the program, as with plain Cargo."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.command import environment

PROGRAM = """
fn said() -> String { std::io::read_to_string(std::io::stdin()).unwrap() }
fn main() { print!("got {:?}", said()); }
#[test]
fn reads() { assert_eq!(said(), "hi\\n"); }
"""


def test_what_cargo_runs_reads_standard_input(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/main.rs").write_text(PROGRAM)
    (tmp_path / "Cargo.toml").write_text(
        '[package]\nname = "reader"\nversion = "0.1.0"\nedition = "2021"\n'
    )

    for command, output in (("run", b'got "hi\\n"'), ("test", b"1 passed")):
        told = subprocess.run(
            [sys.executable, "-m", "buildperm", "ci", "--", command],
            cwd=tmp_path,
            env=environment(),
            input=b"hi\n",
            capture_output=True,
            check=False,
        )

        assert told.returncode == 0, told.stderr.decode()
        assert output in told.stdout
