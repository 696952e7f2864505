"""Runs build scripts as WASI beside their held native runs, and compares: see `wasi`.

A script sees its package and its workspace, for reading, and an OUT_DIR of its own. What it was
given natively is what it is given here, paths included.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from buildperm.printable import shortened
from buildperm.tracer.recording.event import (
    EnvironmentRead,
    Event,
    Executed,
    FileOpened,
    SocketUsed,
)
from buildperm.tracer.recording.reader import Recording, read
from corpus import trial
from corpus.entries import HERE
from corpus.restoring import differing_paths, unit_made
from corpus.wasi_module import NotTriedError, ScriptSource, compiled, sources
from corpus.workshop import TIMED_OUT, StepError, Workshop

EQUAL = "equal"
_RECORDINGS = "target/buildperm/ci/**/build/*/buildperm/recording.jsonl"
_UNSAID = "Cargo did not say how it ran it"
_LONGEST = 300  # Of an outcome: scripts choose names and what they say.
_START = b"/proc/self/maps"  # Where Rust's own start looks for the guard page of the stack.
_SYSTEM = (b"/usr/lib", b"/lib", b"/etc/ld.so.", b"/dev/null")
_RAN = re.compile(  # A description may have several lines.
    r"^ +Running `((?:(?!^ +Running `).)*?/build-script-[^/`\n]*)`$", re.MULTILINE | re.DOTALL
)
_NAME = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
_SECONDS, _FUEL, _MEMORY = 60.0, 20_000_000_000, 1 << 30  # Of one run; fuel is instructions.


@dataclass(frozen=True, slots=True)
class NativeRun:
    """A held run of a build script."""

    unit: Path  # Its folder: OUT_DIR is `out` in there.
    program: str
    environment: Mapping[str, str]  # That Cargo gave it.


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of a script as WASI."""

    workspace: str
    crate: str
    outcome: str  # EQUAL, or a sentence.


def native_runs(told: str) -> list[NativeRun]:
    """Read the runs of build scripts from what `cargo -vv` said."""
    found = []
    for line in _RAN.findall(told):
        try:
            *pairs, program = shlex.split(line)
        except ValueError:  # No quotation of Cargo's.
            continue
        if all(map(_NAME.match, pairs)):
            environment = dict(pair.split("=", 1) for pair in pairs)
            found.append(NativeRun(Path(environment["OUT_DIR"]).parent, program, environment))
    return found


def why_not(recording: Recording, shown: Iterable[bytes]) -> str:
    """Say what WASI has not that a script has used; empty if nothing.

    Args:
        recording: Of its native run.
        shown: The folders that it would see.
    """
    folders = tuple(shown)
    reasons = (_reason(event, recording, folders) for event in recording.events)
    return next(filter(None, reasons), "")


def _reason(event: Event, recording: Recording, shown: tuple[bytes, ...]) -> str:
    match event:
        case Executed() if event.pid in recording.processes and _is_start(event, recording):
            return ""
        case Executed():
            return f"it runs {os.fsdecode(os.path.basename(event.path or event.requested))}"
        case SocketUsed():
            return "it uses a socket"
        case FileOpened(path=path) if path.startswith(b"/proc/") and path != _START:
            return f"it reads {os.fsdecode(path)}"
        case FileOpened(path=path, errno=0) if not path.startswith((*_SYSTEM, b"/proc/")):
            if not any(path == each or path.startswith(each + b"/") for each in shown):
                return "it looks at what is not its package's"
    return ""


def _is_start(event: Executed, recording: Recording) -> bool:
    """Tell whether an event is the start of the script itself."""
    process = recording.processes[event.pid]
    return process.parent == 0 and process.program == event.path


def compare_workspace(
    name: str, workshop: Workshop, cargo: Sequence[str], rustc: str
) -> list[Compared]:
    """Learn, build held, and compare each script of a workspace.

    Raises:
        StepError: The workspace cannot be built.
    """
    words = ["--no-tui", "--accept", "medium", "--", *cargo]
    learned = workshop.run([*trial.BUILDPERM, "learn", *words])
    if learned.code not in (trial.OK, trial.UNDECIDED):
        raise StepError(f"learn ended with {learned.code}: {learned.err[-2000:]}")
    shutil.rmtree(workshop.folder / "target", ignore_errors=True)
    held = workshop.run([*trial.BUILDPERM, "ci", "--no-cache", "--", *cargo, "-vv"])
    if held.code not in (trial.OK, trial.REFUSED):
        raise StepError(f"ci ended with {held.code}: {held.err[-2000:]}")
    metadata = workshop.must(["cargo", "metadata", "--format-version", "1", "--locked"])
    scripts = sources(json.loads(metadata.out))
    runs = native_runs(held.err + held.out)
    units = {path.parents[1] for path in workshop.folder.glob(_RECORDINGS)}
    unsaid = sorted(units - {run.unit for run in runs})
    compared = [Compared(name, unit.name, f"not tried: {_UNSAID}") for unit in unsaid]
    for run in runs:
        script = scripts[run.environment["CARGO_MANIFEST_DIR"]]
        scratch = workshop.folder.parent / "wasi" / run.unit.name
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            outcome = _compare(run, script, scratch, workshop, rustc)
        except NotTriedError as error:
            outcome = f"not tried: {error}"
        outcome = shortened(outcome, _LONGEST)
        compared.append(Compared(name, f"{script.name} {script.version}", outcome))
        print(f"{script.name}: {outcome}", file=sys.stderr, flush=True)
    return compared


def _compare(
    run: NativeRun, script: ScriptSource, scratch: Path, workshop: Workshop, rustc: str
) -> str:
    recording = read(run.unit / "buildperm/recording.jsonl")
    package = run.environment["CARGO_MANIFEST_DIR"]
    linked = [each for each in run.environment.get("LD_LIBRARY_PATH", "").split(":") if each]
    shown = (package, str(workshop.folder), str(run.unit / "out"), *linked)
    if why := why_not(recording, map(os.fsencode, shown)):
        raise NotTriedError(why)
    (scratch / "shadow").mkdir(parents=True)
    sysroot = workshop.must([rustc, "--print", "sysroot"]).out.strip()
    # Said, as a loader's path that rustup sets leads to the libraries of its own.
    flags = {"CARGO_ENCODED_RUSTFLAGS": f"--sysroot\x1f{sysroot}"}
    environment = workshop.environment | {"RUSTC": rustc} | flags
    place = Workshop(scratch / "shadow", environment, min(workshop.left, 300.0))
    lock = workshop.folder / "Cargo.lock"
    module = compiled(script, recording.header.features, lock, place)
    seen = _environment(run, recording, workshop.environment)
    folders = [(package, ".", False), (package, package, False)]
    if str(workshop.folder) != package and _reads_workspace(recording, workshop.folder):
        folders.append((str(workshop.folder), str(workshop.folder), False))
    (scratch / "out").mkdir()
    folders.append((str(scratch / "out"), str(run.unit / "out"), True))
    code, trap = run_module(module, scratch, run.program, seen, folders)
    return outcome_of(run.unit, scratch, code, trap)


def _reads_workspace(recording: Recording, folder: Path) -> bool:
    inside = os.fsencode(folder) + b"/"
    target = inside + b"target/"
    return any(
        isinstance(event, FileOpened)
        and event.path.startswith(inside)
        and not event.path.startswith(target)
        for event in recording.events
    )


def _environment(
    run: NativeRun, recording: Recording, outside: Mapping[str, str]
) -> dict[str, str]:
    """Return what Cargo gave the script, and what else the recording says it got."""
    names = {os.fsdecode(name) for name in _asked(recording)}
    return {name: outside[name] for name in names & outside.keys()} | dict(run.environment)


def _asked(recording: Recording) -> Iterable[bytes]:
    for event in recording.events:
        if isinstance(event, EnvironmentRead) and event.present and not event.withheld:
            yield event.name


def run_module(
    module: Path,
    scratch: Path,
    program: str,
    environment: Mapping[str, str],
    folders: Sequence[tuple[str, str, bool]],
) -> tuple[int, str]:
    """Run a module; what it prints and says comes into `output` and `stderr` of `scratch`.

    Returns:
        Its exit code, and what has stopped it; empty if it has ended by itself.

    Raises:
        NotTriedError: wasmtime could not run it.
    """
    asked = {
        "module": str(module),
        "program": program,
        "environment": dict(environment),
        "folders": list(folders),
        "stdout": str(scratch / "output"),
        "stderr": str(scratch / "stderr"),
        "memory": _MEMORY,
        "fuel": _FUEL,
    }
    command = [sys.executable, "-m", "corpus.wasi_guest"]
    try:
        ended = subprocess.run(
            command,
            input=json.dumps(asked).encode(),
            cwd=HERE.parent,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return TIMED_OUT, f"ended after {_SECONDS:.0f} s"
    if ended.returncode:
        said = ended.stderr.decode("utf-8", "replace").splitlines()
        raise NotTriedError(f"wasmtime: {said[-1] if said else ended.returncode}")
    told = json.loads(ended.stdout)
    return told["code"], told["trap"]


def outcome_of(native: Path, scratch: Path, code: int, trap: str = "") -> str:
    """Compare two runs by their folders.

    Args:
        native: Of the native run, which ended with 0.
        scratch: Of the run as WASI.
        code: How that ended.
        trap: What has stopped it.
    """
    if code:
        said = (scratch / "stderr").read_text("utf-8", "replace").splitlines()
        why = next((each for each in said if "panicked at" in each), trap)
        return f"differs in the exit code: {why or code}"
    differs = differing_paths(unit_made(native), unit_made(scratch))
    return f"differs in {', '.join(differs)}" if differs else EQUAL
