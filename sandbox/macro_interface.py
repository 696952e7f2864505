"""Tests how a tool chain's rustc and procedural macros talk, and says whether hosts can run macros.

They talk by a private interface of Rust's, which changes from one release to another. A library of
macros and a crate that uses it are compiled as usual, and then once more with the shim in rustc,
for each layout of the table of macros that is known, until what comes out is the same. No version
number decides. Then once more with the answers foreseen that can be.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath

from buildperm.sandbox import foreseen_calls
from buildperm.sandbox.native_programs import NativePrograms
from buildperm.sandbox.shimmed_compiler import CompilerRun, ShimmedCompiler

_PROBE = PurePath(os.path.realpath(__file__)).parent / "interface_probe"
_LIBRARY = "buildperm_probe_macros"
_TIMEOUT_S = 60
_BARE, _POINTER, _FUNCTION = 0, 1, 2  # As `enum layout` in bridge.h.
_FIRST_MINOR = {_BARE: 98, _POINTER: 83, _FUNCTION: 0}  # Of Rust 1: what is tried first.
_MINOR = re.compile(r"^release: 1\.(\d+)", re.MULTILINE)
_PANICKED = "buildperm_probe_panics"
_TELLS_CALLS = 8  # SHIM_TELLS_CALLS in shim.h.


@dataclass(frozen=True, slots=True)
class MacroInterface:
    """Where the macros of a tool chain run, and for hosts, how its tables of macros look."""

    is_outside: bool
    layout: int
    why: str
    """One clause: what says so."""
    foreseen: str = foreseen_calls.NONE
    """`struct foreseen` of bridge.h in hexadecimal: calls whose answers nobody waits for."""


def layout(rustc: Path, programs: NativePrograms, described: str = "") -> MacroInterface:
    """Say where macros of `rustc` can run; where anything is in doubt, in the confined rustc.

    That they can be hosted is kept beside the programs, for this very rustc.

    Args:
        rustc: The compiler itself, not the stand-in of rustup.
        programs: The programs that will be used.
        described: What `rustc -vV` says; asked if not told.
    """
    try:
        return _kept_or_found(Path(os.path.abspath(rustc)), programs, described)
    except subprocess.TimeoutExpired:
        return _inside("rustc did not end when it was tested")
    except (OSError, subprocess.SubprocessError) as error:
        return _inside(f"it could not be tested: {error}")


def _inside(why: str) -> MacroInterface:
    return MacroInterface(is_outside=False, layout=_BARE, why=why)


def _kept_or_found(rustc: Path, programs: NativePrograms, described: str) -> MacroInterface:
    if not described:
        asked = _ran([rustc, "-vV"])
        if asked.returncode:
            return _inside("rustc does not tell its version")
        described = asked.stdout
    found = os.stat(rustc)
    identity = (os.path.realpath(rustc), found.st_size, found.st_mtime_ns, described)
    name = hashlib.sha256(repr((programs.digest, identity, _probe_text())).encode()).hexdigest()
    kept = programs.shim.parent / f"interface-{name[:32]}.json"
    try:
        return MacroInterface(**json.loads(kept.read_bytes()))
    except (OSError, ValueError, TypeError):
        pass
    minor = _MINOR.search(described)
    result = _find(rustc, programs, int(minor[1]) if minor else 0)
    if result.is_outside:  # What failed may have failed by chance.
        _keep(kept, result)
    return result


def _probe_text() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(Path(_PROBE).iterdir())]


def _keep(path: Path, result: MacroInterface) -> None:
    descriptor, making = tempfile.mkstemp(prefix=".making-", dir=path.parent)
    with open(descriptor, "w") as file:
        json.dump(asdict(result), file)
    os.replace(making, path)


def _find(rustc: Path, programs: NativePrograms, minor: int) -> MacroInterface:
    folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="buildperm-")))
    try:
        probe = _Probe(rustc, programs, folder)
        wrong = probe.prepare()
        if wrong:
            return _inside(wrong)
        for number in _ordered(minor):
            wrong, foreseen = probe.tested(number)
            if not wrong:
                return MacroInterface(
                    is_outside=True, layout=number, why="tested", foreseen=foreseen
                )
        return _inside(wrong or "no layout is known")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ordered(minor: int) -> list[int]:
    """List the layouts, the one that this version should have first."""
    expected = next(number for number, first in _FIRST_MINOR.items() if minor >= first)
    return [expected, *(number for number in _FIRST_MINOR if number != expected)]


@dataclass(frozen=True, slots=True)
class _Probe:
    """Two crates, compiled by a compiler that is tested."""

    rustc: Path
    programs: NativePrograms
    folder: Path

    def prepare(self) -> str:
        """Compile the macros and what uses them as usual; say what is wrong."""
        (self.folder / "out").mkdir()
        for path in Path(_PROBE).iterdir():
            shutil.copy(path, self.folder)
        made = _ran(
            [
                *(self.rustc, "--edition=2018", "--crate-type=proc-macro"),
                *("--crate-name", _LIBRARY, "-Cextra-filename=-probe", "-Cdebuginfo=0"),
                *("--out-dir", self.folder, "macros.rs"),
            ],
            self.folder,
        )
        if made.returncode:
            return "rustc does not compile the macros of the test"
        used = _ran(self._compiling("consumer.rs"), self.folder)
        if used.returncode:
            return "rustc does not compile the crate of the test"
        failed = _ran(self._compiling("panicking.rs"), self.folder)
        (self.folder / "panicking.txt").write_text(failed.stderr, encoding="utf-8")
        if failed.returncode != 1 or _PANICKED not in failed.stderr:
            return "a macro that panics does not fail as is known"
        os.rename(self.folder / "out", self.folder / "plain")
        return ""

    def tested(self, number: int) -> tuple[str, str]:
        """Compile what uses the macros with the shim.

        Returns:
            What is different with this layout; where nothing is, which answers are foreseen.
        """
        wrong, run = self._differs(number, flags=_TELLS_CALLS)
        found = foreseen_calls.NONE if wrong else foreseen_calls.find(run.messages)
        is_right = found != foreseen_calls.NONE and not self._differs(number, foreseen=found)[0]
        return wrong, found if is_right else foreseen_calls.NONE

    def _differs(
        self, number: int, *, flags: int = 0, foreseen: str = foreseen_calls.NONE
    ) -> tuple[str, CompilerRun]:
        compiler = ShimmedCompiler(
            shim=self.programs.shim,
            host=self.programs.host,
            layout=number,
            foreseen=foreseen,
            flags=flags,
        )
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        (self.folder / "out").mkdir()
        run = self._shimmed(compiler, "consumer.rs")
        wrong = self._wrong_with(run)
        if not wrong:
            failed = self._shimmed(compiler, "panicking.rs")
            said = failed.stderr.decode(errors="replace")
            expected = (self.folder / "panicking.txt").read_text(encoding="utf-8")
            if failed.status != 1 or said != expected:
                wrong = "rustc does not understand panics of macros in a process of their own"
        return wrong, run

    def _shimmed(self, compiler: ShimmedCompiler, name: str) -> CompilerRun:
        return compiler.run(
            ["/usr/bin/env", "-C", self.folder, *self._compiling(name)],
            environ=_environ(),
            timeout_s=_TIMEOUT_S,
        )

    def _wrong_with(self, run: CompilerRun) -> str:
        said = [message[0] for message in run.messages]
        if b"ready" not in said:
            return "nothing can be loaded into this rustc"
        if run.status:
            return "rustc fails with macros in a process of their own"
        if b"host" not in said:
            return "rustc does not open libraries of macros as is known"
        if dict(self._outputs("out")) != dict(self._outputs("plain")):
            return "rustc makes something else of macros in a process of their own"
        return ""

    def _outputs(self, name: str) -> Iterator[tuple[str, bytes]]:
        for path in (self.folder / name).iterdir():
            yield path.name, path.read_bytes()

    def _compiling(self, name: str) -> list[str | Path]:
        library = self.folder / f"lib{_LIBRARY}-probe.so"
        return [
            *(self.rustc, "--edition=2018", "--crate-type=lib", "--crate-name=consumer"),
            *("--emit=metadata,mir", "--out-dir", "out", "--extern", f"{_LIBRARY}={library}"),
            name,
        ]


def _ran(command: list[str | Path], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=_environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=_TIMEOUT_S,
        check=False,
    )


def _environ() -> dict[str, str]:
    """Return what a compiler and a linker need, without what would change their results."""
    kept = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN")
    return {name: os.environ[name] for name in kept if name in os.environ}
