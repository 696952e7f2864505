"""Tries whether compilers and macros are held here: a real rustc under the launcher, and a host.

What is compiled is written here. That it is refused a file means something only because the same
compiler reads it without the launcher.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.errors import CannotEnforceError
from buildperm.sandbox import compile_filter, macro_interface, native_programs, selftest
from buildperm.sandbox.canary import COMPILE_CANARIES, CanaryOutcome, CanaryResult, Status
from buildperm.sandbox.machine import probe
from buildperm.sandbox.stub import SUPERVISOR
from buildperm.supervisor import landlock, session
from buildperm.tracer import syscall_numbers

if TYPE_CHECKING:
    from buildperm.sandbox.macro_interface import MacroInterface
    from buildperm.sandbox.native_programs import NativePrograms
    from buildperm.sandbox.runtime import Runtime
    from buildperm.supervisor.session import SessionMacros

_TIMEOUT_S = 60
_SEEN = "buildperm_canary_was_read"
_LIBRARY = "buildperm_canary"
_RUN = ("/usr", "/bin", "/lib", "/lib64", "/nix/store", "/gnu/store")
_READ = (
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives"),
    *("/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu"),
)

_MACROS = """\
extern crate proc_macro;
#[proc_macro]
pub fn reads(_: proc_macro::TokenStream) -> proc_macro::TokenStream {{
    std::fs::read({path}).is_ok().to_string().parse().unwrap()
}}
"""
_USES = f"""\
const _: () = if {_LIBRARY}::reads!() {{ panic!(concat!("buildperm_canary_", "was_read")) }};
"""
_INCLUDES = "pub const CANARY: &[u8] = include_bytes!({path});\n"


@dataclass(frozen=True, slots=True)
class CompileProof:
    """What was seen of compilers and macros on this machine."""

    reason: str = "it was not tried"  # Why they cannot be held; empty where they can.
    hint: str = ""
    is_hosted: bool = False  # Macros run in processes of their own.
    layout: int = 0  # Of tables of macros, where they do.
    why: str = ""  # Why they do, or do not.
    results: tuple[CanaryResult, ...] = ()

    @property
    def broken(self) -> str:
        """Return what is not as promised, in a clause; empty if nothing is."""
        found = [each for each in self.results if each.status is Status.BROKEN]
        bad = [each.canary.attempt for each in found if not each.canary.is_harmless]
        bad += [
            f"{each.canary.attempt} without being recorded"
            for each in self.results
            if each.is_recorded is False
        ]
        if bad:
            return f"a crate that is compiled can {'; '.join(bad)}"
        return f"nobody can {found[0].canary.attempt}" if found else ""


def prove(rustc: Path | None, sysroot: Path | None, runtime: Runtime) -> CompileProof:
    """Compile with a file out of reach.

    Args:
        rustc: The compiler itself, not the stand-in of rustup; None where there is none.
        sysroot: Its folder.
        runtime: In which the macros are to be held.
    """
    if rustc is None or sysroot is None:
        return CompileProof("there is no rustc to try it with", "Install Rust.")
    if probe().notify_errno:
        return CompileProof(
            "no supervisor may answer system calls (SECCOMP_RET_USER_NOTIF)",
            "Use Linux 5.14 or newer; in a container, one whose seccomp profile allows it.",
        )
    try:
        programs = native_programs.programs()
    except CannotEnforceError as error:
        return CompileProof(error.args[0], error.hint)
    found = macro_interface.layout(rustc, programs)
    proof = CompileProof("", "", found.is_outside, found.layout, found.why)
    folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="buildperm-")))
    try:
        trial = _Trial(folder, rustc, sysroot, programs, found)
        trial.prepare(runtime)
        return replace(proof, results=trial.results())
    except (OSError, subprocess.SubprocessError, CannotEnforceError) as error:
        return replace(proof, reason=f"it could not be tried: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Trial:
    """A folder with a crate of macros, one that uses them, and a file that nobody granted."""

    folder: Path
    rustc: Path
    sysroot: Path
    programs: NativePrograms
    interface: MacroInterface

    @property
    def _secret(self) -> Path:
        return self.folder / "outside/secret"

    @property
    def _target(self) -> Path:
        return self.folder / "target"

    @property
    def _state(self) -> Path:
        return self._target / "buildperm-compile"

    @property
    def _out(self) -> Path:
        return self._target / "debug/deps"

    def prepare(self, runtime: Runtime) -> None:
        for each in ("outside", "macros", "package", "target/debug/deps", "target/free"):
            (self.folder / each).mkdir(parents=True)
        self._secret.write_text("canary", encoding="utf-8")
        path = json.dumps(str(self._secret))
        (self.folder / "macros/lib.rs").write_text(_MACROS.format(path=path), encoding="utf-8")
        (self.folder / "package/uses.rs").write_text(_USES, encoding="utf-8")
        (self.folder / "package/includes.rs").write_text(
            _INCLUDES.format(path=path), encoding="utf-8"
        )
        (self._target / "filter").write_bytes(
            compile_filter.build(
                os.uname().machine, syscall_numbers.table(os.uname().machine), landlock.abi()
            )
        )
        entries = b"".join(os.fsencode(each) + b"\0" for each in self._entries())
        (self._target / "compile-session").write_bytes(entries)
        self._write_session(runtime)

    def results(self) -> tuple[CanaryResult, ...]:
        made = self._compile("macros", "lib.rs", "proc-macro")
        used = self._compile("package", "uses.rs", "lib")
        read = self._compile("package", "includes.rs", "lib")
        free_made = self._compile("macros", "lib.rs", "proc-macro", is_held=False)
        free_used = self._compile("package", "uses.rs", "lib", is_held=False)
        free_read = self._compile("package", "includes.rs", "lib", is_held=False)
        for each in (made, free_made):
            if each.returncode:
                raise CannotEnforceError(f"macros are not compiled: {_first_line(each.stderr)}")
        if read.returncode and not self._is_marked():
            raise CannotEnforceError(f"nothing is compiled: {_first_line(read.stderr)}")
        outcomes = (
            (_outcome(read), _outcome(free_read), self._is_marked()),
            (_of_macro(used), _of_macro(free_used), self._is_told()),
            (_outcome(used), CanaryOutcome.ALLOWED, None),
        )
        return tuple(
            CanaryResult(
                canary,
                CanaryOutcome.ALLOWED if canary.is_harmless else CanaryOutcome.REFUSED,
                outcome,
                "",
                free,
                is_recorded if outcome is CanaryOutcome.REFUSED else None,
            )
            for canary, (outcome, free, is_recorded) in zip(COMPILE_CANARIES, outcomes, strict=True)
        )

    def _compile(
        self, package: str, source: str, kind: str, *, is_held: bool = True
    ) -> subprocess.CompletedProcess[str]:
        out = self._out if is_held else self._target / "free"
        name = _LIBRARY if kind == "proc-macro" else source.partition(".")[0]
        command: list[str | Path] = [self.rustc, "--edition=2021", "--crate-name", name]
        command += ["--crate-type", kind, "-Cextra-filename=-1", "--out-dir", out]
        if kind != "proc-macro":
            command.append("--emit=metadata")
        if source == "uses.rs":
            command += ["--extern", f"{_LIBRARY}={out}/lib{_LIBRARY}-1.so"]
        if is_held:
            command = [self.programs.launcher, self._target / "compile-session", *command]
        return subprocess.run(
            [*command, self.folder / package / source],
            cwd=self.folder / package,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "CARGO_MANIFEST_DIR": str(self.folder / package),
                "LC_ALL": "C",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )

    def _is_marked(self) -> bool:
        """Tell whether the launcher has noted that the compiler was refused the file."""
        return self._is_in_state("unit", f"refused read {self._secret}")

    def _is_told(self) -> bool:
        """Tell whether it was recorded that the macro was refused the file."""
        if not self.interface.is_outside:
            return self._is_marked()
        return self._is_in_state("recording.jsonl", "outside/secret")

    def _is_in_state(self, name: str, text: str) -> bool:
        found = self._state.rglob(name)
        return any(os.fsencode(text) in path.read_bytes() for path in found)

    def _entries(self) -> Iterable[str]:
        macros = "outside" if self.interface.is_outside else "inside"
        target = self._target
        yield from ("buildperm-compile 1", f"target {target}", f"state {self._state}")
        yield from ("profile enforcing", f"macros {macros}", f"layout {self.interface.layout}")
        yield f"foreseen {self.interface.foreseen}"
        yield from (f"filter {target}/filter", f"session {target}/session", "w /dev/null")
        yield from (f"shim {self.programs.shim}", f"python {sys.executable}")
        yield f"supervisor {os.fsdecode(SUPERVISOR)}"
        for path in sorted({os.path.realpath(each) for each in (*_RUN, self.sysroot)}):
            yield f"x {path}"
        yield from (f"r {path}" for path in _READ)
        for each in ("macros", "package"):
            yield from (f"package {self.folder / each}", f"name {each}", "version 1.0.0")
            yield from (f"crate {each}", "compile hold", "digest 0", f"r {self.folder / each}")

    def _write_session(self, runtime: Runtime) -> None:
        macros, package = self.folder / "macros", self.folder / "package"
        held = selftest.bare_session(self.folder, package, runtime.prepare())
        (only,) = held["packages"].values()
        described: SessionMacros = {**only, "for": []}
        held["places"]["TARGET_DIR"] = os.fsencode(self._target)
        held["places"]["SYSROOT"] = os.fsencode(self.sysroot)
        held["macros"] = {os.fsencode(macros): described}
        held["members"] = [os.fsencode(package)]
        held["manifests"] = []
        held["consumers"] = {
            os.fsencode(package): {
                "crate": "package",
                "name": "package",
                "version": "1",
                "source": "",
            }
        }
        held["compile"] = {
            "mode": "hold",
            "macros": "outside" if self.interface.is_outside else "inside",
            "host": os.fsencode(self.programs.host),
            "digest": self.programs.digest,
        }
        (self._target / "session").write_bytes(session.dump(held))
        (self._target / "session").chmod(0o600)


def _first_line(said: str) -> str:
    return said.strip().partition("\n")[0] or "nothing was said"


def _outcome(call: subprocess.CompletedProcess[str]) -> CanaryOutcome:
    return CanaryOutcome.REFUSED if call.returncode else CanaryOutcome.ALLOWED


def _of_macro(call: subprocess.CompletedProcess[str]) -> CanaryOutcome:
    """Return what became of the file that the macro reads; absent where no macro has run."""
    if call.returncode == 0:
        return CanaryOutcome.REFUSED
    return CanaryOutcome.ALLOWED if _SEEN in call.stderr else CanaryOutcome.ABSENT
