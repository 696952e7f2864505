"""What has to be waited for: the start of a held script, a call of rustc, the interface.

    benchmarks/startup.py [--rounds N]

The script is one that does nothing but tell when it began. A hundred of it are run sixteen at a
time, too: what each adds to the processor time of all, and how long the fork server had work for
each. The interface is measured in a terminal
of its own, on the example workspace, whose build is done before: from the start of `buildperm
learn` to the first screen, and from a key press to its answer.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from held import EXAMPLES, Script, as_enforced, scripts, workspace
from measurement import Variant, describe_machine, duration, interleave, ratios, table

from buildperm.cargo.fork_server_client import ForkServerClient
from buildperm.sandbox import runtime as runtimes

WRAPPER = EXAMPLES.parent / "cargo" / "rustc-wrapper.sh"
# What Cargo passes for a small library: most calls are like this one.
RUSTC_ARGUMENTS = [
    *("--crate-name", "itoa", "--edition=2018", "src/lib.rs", "--error-format=json"),
    *("--json=diagnostic-rendered-ansi", "--crate-type", "lib", "--emit=dep-info,metadata,link"),
    *("-C", "embed-bitcode=no", "-C", "debuginfo=2", "--check-cfg", "cfg(docsrs,test)"),
    *("-C", "metadata=66f1e0d3a3b8d7a5", "-C", "extra-filename=-c80a9de1f6a9d8bb"),
    *("--out-dir", "/target/debug/deps", "-L", "dependency=/target/debug/deps"),
    *("--cap-lints", "allow"),
]
CLOCK = """\
use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("{}", SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos());
}
"""
ALTERNATE_SCREEN = b"\x1b[?1049h"  # xterm's control sequences, DECSET
TERMINAL_TIMEOUT_S = 60


def make_clock(folder: Path) -> Path:
    """Make a package in `folder` whose build script does nothing but tell when it began."""
    (folder / "src").mkdir(parents=True)
    (folder / "Cargo.toml").write_text('[package]\nname = "clock"\nversion = "1.0.0"\n')
    (folder / "src" / "lib.rs").write_text("")
    (folder / "build.rs").write_text(CLOCK)
    subprocess.run(["cargo", "generate-lockfile", "--offline", "--quiet"], cwd=folder, check=True)
    return folder


def measure_script(folder: Path, rounds: int) -> list[list[str]]:
    """Compare a script that does nothing, plain and enforced: until it begins, and to its end.

    Each runtime twice: as in a build, where a fork server is there, and as under plain Cargo later.
    """
    runs, found = scripts(make_clock(folder), ["clock"])
    script = found["clock"]
    with contextlib.ExitStack() as servers:
        started: dict[str, tuple[Script, bytes]] = {"plain": (script, script.program)}
        for name, runtime in runtimes.runtimes().items():
            if runtime.unavailable():
                continue
            enforced = as_enforced(script, name)
            started[f"{name}, alone"] = (enforced, script.stub)
            session = os.fsdecode(enforced.environment[b"BUILDPERM_SESSION"])
            server = servers.enter_context(ForkServerClient(session))
            given = {os.fsencode(k): os.fsencode(v) for k, v in server.environment.items()}
            served = replace(enforced, environment=enforced.environment | given)
            started[name] = (served, script.stub)
        begins = [Variant(name, lambda: None) for name in started]
        ends = [Variant(name, lambda: None) for name in started]
        for turn in range(rounds + 1):
            for begin, end, (script, program) in zip(begins, ends, started.values(), strict=True):
                began, ended = _run(script, program, runs)
                if turn > 0:  # The first is for warming up.
                    begin.seconds.append(began)
                    end.seconds.append(ended)
    return [
        [f"script in `{variant.name}`, {what}", *_added([ways[0], variant])]
        for what, ways in (("until it begins", begins), ("to its end", ends))
        for variant in ways[1:]
    ]


def _run(script: Script, program: bytes, runs: Path) -> tuple[float, float]:
    """Return the seconds from the start of `program` to the first line of the script, and all."""
    started_ns = time.time_ns()
    said = script.run([program], runs / "begin" / "out")
    return (int(said) - started_ns) / 1e9, (time.time_ns() - started_ns) / 1e9


def measure_wrapper(folder: Path, rounds: int) -> list[str]:
    """Compare a call of rustc that links no build script with and without the wrapper.

    /bin/true takes rustc's place: its own work is the same either way, and would hide the cost.
    """
    environment = os.environ | {"BUILDPERM_RUSTC_WRAPPER": "", "BUILDPERM_STUB": str(folder)}

    def call(*command: str) -> None:
        subprocess.run([*command, *RUSTC_ARGUMENTS], env=environment, check=True)

    ways = [
        Variant("plain", lambda: call("/bin/true")),
        Variant("wrapped", lambda: call("/bin/sh", str(WRAPPER), "/bin/true")),
    ]
    interleave(ways, rounds * 20, title="a call of rustc")
    return ["call of rustc", *_added(ways)]


def measure_interface(folder: Path, rounds: int) -> list[list[str]]:
    """Measure the first screen and a key press of `buildperm learn` in a pseudo terminal."""
    command = [sys.executable, "-m", "buildperm", "learn", "--", "check", "--offline"]
    plain = [*command[:4], "--no-tui", "--dry-run", *command[4:]]
    subprocess.run(
        plain,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,  # Something is left undecided.
    )
    screens, keys = Variant("screen", lambda: None), Variant("key", lambda: None)
    for _ in range(rounds):
        with _terminal(command, folder) as terminal:
            began = time.perf_counter()
            # The summary before names the crate too; the interface has a screen of its own.
            _wait_for(terminal, ALTERNATE_SCREEN, b"left-padding")
            screens.seconds.append(time.perf_counter() - began)
            _wait_until_quiet(terminal)
            began = time.perf_counter()
            os.write(terminal, b"j")
            select.select([terminal], [], [], TERMINAL_TIMEOUT_S)
            keys.seconds.append(time.perf_counter() - began)
    return [
        [
            "interface, first screen (with cargo finding nothing to do)",
            "",
            duration(screens.median),
        ],
        ["interface, a key press is answered", "", duration(keys.median)],
    ]


@contextlib.contextmanager
def _terminal(command: list[str], folder: Path) -> Iterator[int]:
    """Run `command` in a terminal of 120 x 40 characters; yields its other end."""
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvpe(command[0], command, environment)
    try:
        yield terminal
    finally:
        os.kill(child, signal.SIGTERM)
        with contextlib.suppress(OSError):
            while os.read(terminal, 1 << 16):
                pass  # It may still have something to say before it goes.
        os.close(terminal)
        os.waitpid(child, 0)


def _wait_for(terminal: int, *texts: bytes) -> None:
    """Read until all of `texts` have been shown, one after the other."""
    shown = b""
    for text in texts:
        while text not in shown:
            if not select.select([terminal], [], [], TERMINAL_TIMEOUT_S)[0]:
                raise SystemExit(f"the interface did not show {text!r}")
            shown += os.read(terminal, 1 << 16)
        shown = shown.partition(text)[2]


def _wait_until_quiet(terminal: int, quiet_s: float = 0.5) -> None:
    """Read until nothing more comes."""
    while select.select([terminal], [], [], quiet_s)[0]:
        os.read(terminal, 1 << 16)


def _added(ways: list[Variant]) -> list[str]:
    plain, other = ways
    return [*ratios(ways), f"+{duration(other.median - plain.median)}"]


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    describe_machine()
    with workspace(EXAMPLES) as copy:
        rows = measure_script(copy.parent / "clock", given.rounds)
        rows.append(measure_wrapper(copy, given.rounds))
        rows += [[*row, ""] for row in measure_interface(copy, max(3, given.rounds // 4))]
    head = ["", "plain", "under buildperm", "added"]
    table(f"Medians of {given.rounds} rounds in turns", head, rows)


if __name__ == "__main__":
    main()
