"""`python -m corpus --remote`: a script that compiles C makes the same on an engine as here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpus import trial
from corpus.engine_runs import EngineUnit, engine_table
from tests.command import member
from tests.engines import casd

_COMPILES = r"""
use std::{env, fs, process::Command};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let mut names: Vec<_> =
        fs::read_dir("c").unwrap().map(|each| each.unwrap().file_name()).collect();
    for name in &names {
        println!("cargo:rerun-if-changed=c/{}", name.to_str().unwrap());
    }
    names.sort();
    for name in names.iter().filter(|name| name.to_str().unwrap().ends_with(".c")) {
        let name = name.to_str().unwrap();
        let words = ["-g", "-O1", "-c", &format!("c/{name}"), "-o", &format!("{out}/{name}.o")];
        assert!(Command::new("cc").args(words).status().unwrap().success());
    }
}
"""
_CLOCK = """fn main() {
    let made = format!("{:?}", std::time::SystemTime::now());
    std::fs::write(std::env::var("OUT_DIR").unwrap() + "/made", made).unwrap();
}
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a folder that is not in /tmp: executors have that of their own."""
    found = Path(tempfile.mkdtemp(prefix="buildperm-engine-runs-", dir="/var/tmp"))
    yield found
    shutil.rmtree(found)


@pytest.mark.slow
def test_what_compiles_runs_on_an_engine_and_what_asks_the_clock_here(place: Path) -> None:
    source = member(place / "source", _COMPILES, "compiles")
    member(source, _CLOCK, "clock")
    manifest = source / "Cargo.toml"
    manifest.write_text('[workspace]\nmembers = ["clock", "compiles"]\nresolver = "2"\n')
    (source / "compiles/c").mkdir()
    for at in range(8):
        (source / f"compiles/c/part{at}.c").write_text(
            f'#include <stdio.h>\n#include "part{at}.h"\nint part{at}(void) {{ return EOF; }}\n'
        )
        (source / f"compiles/c/part{at}.h").write_text(f"int part{at}(void);\n")
    (place / "casd/store").mkdir(parents=True)

    with casd(place / "casd/store") as engine:
        units = trial.try_on_engine(source, place / "made", 900, f"grpc://{engine}")

    clock, compiles = units
    assert compiles.why == ""
    assert compiles.differs == ()
    assert "another result came of it there: $OUT_DIR/made" in clock.why
    assert clock.differs == ("out/made",)


def test_what_ran_here_or_differs_is_in_the_table() -> None:
    units = [EngineUnit("a-1", "", ()), EngineUnit("b-2", "x | y", ("out/made",))]
    table = engine_table({"small": units})

    assert "| small | a-1 | on the engine | - |" in table
    assert "| small | b-2 | here: x \\| y | out/made |" in table
    assert "2 runs: 1 on the engine, 1 not the same." in table
