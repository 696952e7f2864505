"""`python -m corpus --cache`: what is restored equals what runs, of two small scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus import restoring, trial
from corpus.restoring import RestoredUnit
from tests.command import member

_ALWAYS = """fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{out}/made"), format!("in {out}")).unwrap();
    println!("cargo::rustc-env=FROM={out}");
    eprintln!("talk of {out}");
}
"""
_BY_CLOCK = """fn main() {
    let made = format!("{:?}", std::time::SystemTime::now());
    std::fs::write(std::env::var("OUT_DIR").unwrap() + "/made", made).unwrap();
}
"""


@pytest.mark.slow
def test_two_scripts_are_compared_in_one_place_and_elsewhere(tmp_path: Path) -> None:
    source = member(tmp_path / "source", _ALWAYS, "always")
    member(source, _BY_CLOCK, "clock")
    manifest = source / "Cargo.toml"
    manifest.write_text('[workspace]\nmembers = ["always", "clock"]\nresolver = "2"\n')

    units = trial.try_restoring_workspace(source, tmp_path / "made", 900)

    always, clock = units
    assert (always.here, always.elsewhere) == ("restored", "restored"), always
    assert always.differs == ()
    assert clock.here == clock.elsewhere == "run"
    assert clock.why == "not cacheable: two runs differed in $OUT_DIR/made"
    table = restoring.table({"small": units})
    assert "2 runs: 1 restored in the same place, 1 elsewhere, 0 of them not the same." in table


def test_what_differs_is_in_the_table() -> None:
    units = [RestoredUnit("a-1", "restored", "kept", ("out/made",), "a | b")]

    table = restoring.table({"small": units})

    assert "| small | a-1 | restored | kept | out/made | a \\| b |" in table
    assert "1 runs: 1 restored in the same place, 0 elsewhere, 1 of them not the same." in table
