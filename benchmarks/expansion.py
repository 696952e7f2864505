"""What macros in a process of their own cost rustc: crates with many macros, plain and with hosts.

    benchmarks/expansion.py [--rounds N] [--structs N] [--groups N]

One crate has structs that derive Serialize and Deserialize, which makes streams above all. The
other is taken apart by an attribute, group by group, and put together again. rustc alone is
measured, unconfined: with macros inside, with hosts, and with hosts where every call waits.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from functools import partial
from pathlib import Path

from measurement import Variant, describe_machine, interleave, processor_ratios, ratios, table

from buildperm.sandbox import foreseen_calls, macro_interface, native_programs
from buildperm.sandbox.shimmed_compiler import ShimmedCompiler

ROOT = Path(__file__).parents[1]
MANIFEST = """\
[package]
name = "derived"
edition = "2021"
[dependencies]
serde = { version = "1", features = ["derive"] }
"""
STRUCT = """\
#[derive(serde::Serialize, serde::Deserialize)]
pub struct S{0} {{
    pub a: u32, pub b: String, #[serde(default)] pub c: Option<Vec<u8>>, pub e: (u8, u16),
    #[serde(rename = "x")] pub d: std::collections::BTreeMap<String, i64>,
}}
"""
FUNCTION = "pub fn f{0}(a: [u8; 4], b: (u8, u16)) -> u32 {{ (a[0] as u32 + (b.1 as u32)) * {0} }}\n"
TIMEOUT_S = 600


def said(folder: Path, *command: str | Path) -> str:
    """Run `command`, which has to succeed, and return what it printed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def derived(folder: Path, rustc: Path, structs: int) -> list[str | Path]:
    """Make a crate of structs and what it needs; return how rustc compiles it."""
    (folder / "src").mkdir(parents=True)
    (folder / "Cargo.toml").write_text(MANIFEST)
    (folder / "src/lib.rs").write_text("".join(map(STRUCT.format, range(structs))))
    said(folder, "cargo", "check", "--quiet")
    made = folder / "target/debug/deps"
    (serde,) = made.glob("libserde-*.rmeta")
    options = ["-L", f"dependency={made}", "--extern", f"serde={serde}"]
    return [rustc, "--edition=2021", "--crate-type=lib", "--emit=metadata", *options, "src/lib.rs"]


def rebuilt(folder: Path, rustc: Path, groups: int) -> list[str | Path]:
    """Make a crate of functions with five groups each; return how rustc compiles it."""
    folder.mkdir()
    library: list[str | Path] = [
        rustc,
        "--edition=2021",
        "--crate-type=proc-macro",
        "--crate-name=macros",
        "-O",
    ]
    said(folder, *library, "-Awarnings", ROOT / "tests/children/making_streams.rs")
    functions = "".join(map(FUNCTION.format, range(groups // 5)))
    (folder / "lib.rs").write_text(f"#[macros::rebuilds] pub mod all {{ {functions} }}")
    options = ["--extern", f"macros={folder}/libmacros.so"]
    return [rustc, "--edition=2021", "--crate-type=lib", "--emit=metadata", *options, "lib.rs"]


def hosted(compiler: ShimmedCompiler, command: list[str | Path], folder: Path) -> None:
    """Run rustc with its macros in hosts."""
    words = ["/usr/bin/env", "-C", folder, *command]
    run = compiler.run(words, environ=os.environ, timeout_s=TIMEOUT_S)
    if run.status:
        raise SystemExit(run.stderr.decode(errors="replace"))


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--structs", type=int, default=400)
    parser.add_argument("--groups", type=int, default=50_000)
    given = parser.parse_args()
    describe_machine()
    rustc = Path(said(ROOT, "rustc", "--print=sysroot").strip()) / "bin/rustc"
    programs = native_programs.programs()
    found = macro_interface.layout(rustc, programs)
    wall, processors = [], []
    with tempfile.TemporaryDirectory(prefix="buildperm-bench-") as name:
        folders = {
            f"{given.structs} structs": Path(name) / "derived",
            f"{given.groups} groups": Path(name) / "rebuilt",
        }
        commands = [
            derived(Path(name) / "derived", rustc, given.structs),
            rebuilt(Path(name) / "rebuilt", rustc, given.groups),
        ]
        for (title, folder), command in zip(folders.items(), commands, strict=True):
            hosts = [
                ShimmedCompiler(
                    shim=programs.shim, host=programs.host, layout=found.layout, foreseen=foreseen
                )
                for foreseen in (found.foreseen, foreseen_calls.NONE)
            ]
            ways = [
                Variant("rustc", partial(said, folder, *command)),
                Variant("hosts", partial(hosted, hosts[0], command, folder)),
                Variant("hosts, all calls wait", partial(hosted, hosts[1], command, folder)),
            ]
            interleave(ways, given.rounds, title=title)
            wall.append([title, *ratios(ways)])
            processors.append([title, *processor_ratios(ways)])
    head = ["crate of", *(way.name for way in ways)]
    table(f"rustc alone, medians of {given.rounds} rounds in turns", head, wall)
    table("Processor time of the same; ratios of pairs", head, processors)


if __name__ == "__main__":
    main()
