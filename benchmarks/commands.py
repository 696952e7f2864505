"""What the commands cost besides Cargo: of synthetic workspaces with many small build scripts.

    benchmarks/commands.py [--rounds N] [--sizes N,N] [--buildperm PYTHON]

Each workspace has so many packages with a build script, half of which do something that takes a
grant or is seen; the last row is about one with as many packages without a script besides. A
command is divided at the moments when it starts Cargo and when Cargo has ended; what is in between
counts as Cargo's, and is compared with a plain Cargo that does the same.

Wall-clock time is that of the best round, since a machine that is busy only adds to it. Processor
time is the median, and holds all that the command started, Cargo included.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from measurement import describe_machine, duration, table

_READS = 'std::fs::read_to_string("../schema/messages.txt").unwrap();'
_WRITES = (
    'let out = std::env::var("OUT_DIR").unwrap();'
    'std::fs::write(format!("{out}/made.rs"), "").unwrap();'
)
_STARTS = 'std::process::Command::new("cc").arg("--version").output().unwrap();'
_LINKS = 'println!("cargo::rustc-link-lib=m");'
_BODIES = ("", _READS, "", _WRITES, "", _STARTS, "", _LINKS)
_QUIET = 'println!("cargo::rerun-if-changed=build.rs");'

# Prints, at the end, when Cargo was started and when it had ended: the first time and the last.
_DIVIDED = """
import atexit, sys, time
from buildperm.cargo.cargo_process import CargoProcess
moments, run = [], CargoProcess.run
def timed(self):
    moments.append(time.monotonic())
    try:
        return run(self)
    finally:
        moments.append(time.monotonic())
CargoProcess.run = timed
where = sys.argv.pop(1)
atexit.register(lambda: open(where, "w").write(" ".join(map(str, moments))))
from buildperm.cli import main
main()
"""


@dataclass(slots=True)
class Command:
    """One command line, and how long each round of it took."""

    name: str
    words: Sequence[str]
    folder: Path
    is_cargo: bool = False  # Or anything else that is not to be divided.
    before: list[float] = field(default_factory=list)  # Seconds until it started Cargo.
    after: list[float] = field(default_factory=list)  # Seconds since that ended.
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)

    def run(self, python: str) -> None:
        """Run it once."""
        environment = dict(os.environ)
        environment.pop("CARGO_TARGET_DIR", None)
        with tempfile.NamedTemporaryFile("r") as told:
            divided = [python, "-c", _DIVIDED, told.name]
            began, busy = time.monotonic(), _processor_seconds()
            subprocess.run(
                [*([] if self.is_cargo else divided), *self.words],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
            ended = time.monotonic()
            moments = [float(each) for each in told.read().split()]
        self.seconds.append(ended - began)
        self.processor_seconds.append(_processor_seconds() - busy)
        if moments:
            self.before.append(moments[0] - began)
            self.after.append(ended - moments[-1])

    def row(self, plain: Command | None) -> list[str]:
        """Write what was measured; `plain` is the Cargo that does the same."""
        added = statistics.median(self.processor_seconds)
        if plain is not None:
            added -= statistics.median(plain.processor_seconds)
        return [
            self.name,
            duration(min(self.before)) if self.before else "",
            duration(min(self.after)) if self.after else "",
            duration(min(map(sum, zip(self.before, self.after, strict=True))))
            if self.before
            else "",
            duration(min(self.seconds)),
            duration(min(plain.seconds)) if plain is not None else "",
            duration(added),
        ]


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write(folder: Path, scripts: int, packages: int) -> None:
    """Write a workspace of `packages`, of which so many have a build script."""
    (folder / "schema").mkdir(parents=True)
    (folder / "schema" / "messages.txt").write_text("hello\n")
    (folder / "Cargo.toml").write_text('[workspace]\nresolver = "2"\nmembers = ["p*"]\n')
    for number in range(packages):
        package = folder / f"p{number:03}"
        (package / "src").mkdir(parents=True)
        (package / "src" / "lib.rs").write_text("")
        (package / "Cargo.toml").write_text(
            f'[package]\nname = "{package.name}"\nversion = "1.0.0"\nedition = "2021"\n'
        )
        if number < scripts:
            body = _QUIET + _BODIES[number % len(_BODIES)]
            (package / "build.rs").write_text(f"fn main() {{ {body} }}\n")
    subprocess.run(["cargo", "generate-lockfile", "--offline", "-q"], cwd=folder, check=True)


@contextlib.contextmanager
def learnt(scripts: int, packages: int, python: str) -> Iterator[Path]:
    """Write a workspace, decide about it, and build it in every way that is measured."""
    with tempfile.TemporaryDirectory(prefix="buildperm-benchmark-") as above:
        folder = Path(above) / "workspace"
        write(folder, scripts, packages)
        for words in (
            [python, "-m", "buildperm", "learn", "--no-tui", "--accept", "medium"],
            [python, "-m", "buildperm", "ci"],
            ["cargo", "build", "--quiet"],
            ["cargo", "check", "--quiet"],
        ):
            ended = subprocess.run(
                words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
            if ended.returncode:
                sys.stderr.buffer.write(ended.stderr)
                raise SystemExit(f"`{' '.join(words)}` ended with {ended.returncode}")
        yield folder


def measure(scripts: int, packages: int, python: str, rounds: int) -> list[list[str]]:
    """Measure the commands that find nothing to do, in turns."""
    with learnt(scripts, packages, python) as folder:
        build = Command("cargo build", ["cargo", "build"], folder, is_cargo=True)
        check = Command("cargo check", ["cargo", "check"], folder, is_cargo=True)
        ours = [
            (Command("ci", ["ci"], folder), build),
            (Command("review", ["review", "--no-tui"], folder), check),
            (Command("learn", ["learn", "--no-tui", "--dry-run"], folder), check),
            (Command("check", ["check"], folder), None),
        ]
        for turn in range(rounds):
            for command in (build, check, *(each for each, _ in ours)):
                if sys.stderr.isatty():
                    sys.stderr.write(f"\r\x1b[K{scripts}/{packages}: {turn} {command.name}")
                command.run(python)
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        size = f"{scripts} scripts" + (f" in {packages} packages" if packages > scripts else "")
        return [[size, *command.row(plain)] for command, plain in ours]


def measure_help(python: str, rounds: int) -> list[str]:
    """Measure `buildperm --help`."""
    words = [python, "-m", "buildperm", "--help"]
    command = Command("--help", words, Path.cwd(), is_cargo=True)
    for _ in range(rounds * 3):
        command.run(python)
    return ["", *command.row(None)]


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="30,250,250:500", help="scripts, or SCRIPTS:PACKAGES")
    parser.add_argument("--buildperm", default=sys.executable, help="the Python that has it")
    given = parser.parse_args()
    describe_machine()
    rows = [measure_help(given.buildperm, given.rounds)]
    for size in filter(None, given.sizes.split(",")):
        scripts, _, packages = size.partition(":")
        rows += measure(int(scripts), int(packages or scripts), given.buildperm, given.rounds)
    head = [
        "",
        "command",
        "before Cargo",
        "after it",
        "together",
        "all",
        "plain Cargo",
        "CPU added",
    ]
    title = f"Commands that find nothing to do, in turns: best of {given.rounds} rounds"
    table(f"{title}; processor time as medians", head, rows)


if __name__ == "__main__":
    main()
