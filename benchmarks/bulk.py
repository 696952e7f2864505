"""Build scripts that do one thing 30,000 times: plain Cargo beside `ci` and `learn`.

Each script runs again in each round, after its package was touched; what is measured is the whole
command, less the same command for a script that does nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from measurement import Variant, describe_machine, interleave

_MANIFEST = """[package]
name = "bulk"
version = "0.1.0"
edition = "2021"
[workspace]
"""
_HEAD = """use std::{env, fs, path::PathBuf};
fn main() {
    let from = PathBuf::from("data");
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    let _ = (&from, &out);
    println!("cargo:rerun-if-changed=touched");
"""
_EACH = {
    "nothing": "",
    "read": "assert!(!fs::read(from.join(i.to_string())).unwrap().is_empty());",
    "miss": 'assert!(fs::read(from.join(format!("no{i}"))).is_err());',
    "write": 'fs::write(out.join(i.to_string()), "x").unwrap();',
    "stat": "assert!(fs::metadata(from.join(i.to_string())).unwrap().is_file());",
    "copy": "fs::copy(from.join(i.to_string()), out.join(i.to_string())).unwrap();",
    "link": "let to = out.join(i.to_string()); let _ = fs::remove_file(&to); "
    'fs::hard_link(if i == 0 { from.join("0") } else { out.join("0") }, to).unwrap();',
    "rename": "let to = out.join(i.to_string()); "
    'fs::write(out.join("new"), "x").unwrap(); fs::rename(out.join("new"), to).unwrap();',
    "mkdir": "let _ = fs::create_dir(out.join(i.to_string()));",
    "watch": 'println!("cargo:rerun-if-changed=data/{i}");',
}
_LIST = """    for _ in 0..30 {
        assert_eq!(fs::read_dir(&from).unwrap().count(), 30_000);
    }
"""


def main() -> None:
    """Measure and print one row for each kind of work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--number", type=int, default=30_000)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--ways", nargs="*", default=["portable", "full", "learn"])
    options = parser.parse_args()
    describe_machine()
    with tempfile.TemporaryDirectory(prefix="buildperm-bulk-") as folder:
        idle: dict[str, tuple[float, float]] = {}
        for work in dict.fromkeys(["nothing", *(options.only or [*_EACH, "list"])]):
            place = Path(folder, work)
            _make(place, work, options.number)
            variants = _variants(place, options.ways)
            interleave(variants, options.rounds, title=work)
            row = {each.name: _median(each) for each in variants}
            idle = idle or row
            print("|", work, "|", " | ".join(_cells(row, idle, work)), "|", flush=True)
            shutil.rmtree(place)


def _median(variant: Variant) -> tuple[float, float]:
    return variant.median, statistics.median(variant.processor_seconds)


def _cells(
    row: dict[str, tuple[float, float]], idle: dict[str, tuple[float, float]], work: str
) -> list[str]:
    if work == "nothing":
        return [f"{clock:.2f} s ({busy:.2f})" for clock, busy in row.values()]
    own = {
        name: [now - then for now, then in zip(row[name], idle[name], strict=True)] for name in row
    }
    plain = own["plain"]
    cells = [f"{plain[0]:.2f} s ({plain[1]:.2f})"]
    for name, spent in own.items():
        if name != "plain":
            clock, busy = (now / max(then, 0.001) for now, then in zip(spent, plain, strict=True))
            cells.append(f"{clock:.2f} x ({busy:.2f})")
    return cells


def _make(place: Path, work: str, number: int) -> None:
    (place / "src").mkdir(parents=True)
    (place / "src/lib.rs").write_text("")
    (place / "Cargo.toml").write_text(_MANIFEST)
    each = _EACH.get(work)
    loop = _LIST if each is None else f"    for i in 0..{number if each else 0} {{ {each} }}\n"
    (place / "build.rs").write_text(f"{_HEAD}{loop.replace('30_000', str(number))}}}\n")
    (place / "touched").touch()
    (place / "data").mkdir()
    if work in ("read", "stat", "copy", "link", "watch", "list"):
        for index in range(number):
            (place / "data" / str(index)).write_text("some text\n")


def _variants(place: Path, ways: list[str]) -> list[Variant]:
    environment = {**os.environ, "CARGO_INCREMENTAL": "0"}
    own = [sys.executable, "-m", "buildperm"]
    commands: dict[str, tuple[list[str], dict[str, str]]] = {"plain": (["cargo", "check"], {})}
    for way in ways:
        words = ["learn", "--no-tui"] if way == "learn" else ["ci", "--", "check"]
        runtime = {} if way == "learn" else {"BUILDPERM_RUNTIME": way}
        commands[way] = ([*own, *words], runtime)

    def run(words: list[str], extra: dict[str, str]) -> None:
        (place / "touched").write_text("again")
        os.utime(place / "touched")
        done = subprocess.run(
            words, cwd=place, env={**environment, **extra}, capture_output=True, check=False
        )
        if done.returncode:
            sys.exit(done.stderr.decode())

    return [Variant(name, partial(run, words, extra)) for name, (words, extra) in commands.items()]


if __name__ == "__main__":
    main()
