"""Compiler calls under the launcher, with a session that is written by hand."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from buildperm.sandbox import compile_filter
from buildperm.supervisor import landlock
from buildperm.tracer import syscall_numbers
from tests.command import environment

SOURCES = Path(__file__).parents[2] / "supervisor" / "compiling"
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")

_SYSTEM = ("/usr", "/bin", "/lib", "/lib64")
_READ = (
    *("/etc/ld.so.cache", "/etc/alternatives", "/etc/passwd", "/dev/urandom", "/proc/cpuinfo"),
    *("/proc/meminfo", "/sys/devices/system/cpu", "/sys/fs/cgroup"),
    *("/proc/sys/vm/overcommit_memory", "/sys/kernel/mm/transparent_hugepage"),
)

_RANDOM = re.compile("(?<=/rmeta|/rustc)[A-Za-z0-9]{6}(?=/)")  # Kept by `-Csave-temps`.


def sources() -> list[Path]:
    """List the C sources of the launcher."""
    return [
        path for path in sorted(SOURCES.glob("*.c")) if not path.name.startswith(("shim", "host"))
    ]


def compiled(folder: Path, compiler: str = "cc", *flags: str) -> Path:
    """Compile the launcher into `folder`."""
    program = folder / f"launcher-{compiler}"
    words = [compiler, *FLAGS, *flags, "-o", str(program), *map(str, sources())]
    subprocess.run(words, check=True)
    return program


def run(words: Sequence[str], folder: Path, extra: Mapping[str, str]) -> str:
    """Run a program that has to succeed, and return what it printed."""
    told = subprocess.run(
        words, cwd=folder, env=environment(extra), capture_output=True, text=True, check=True
    )
    return told.stdout.strip()


@dataclass(frozen=True, slots=True)
class HeldCalls:
    """A workspace whose compiler calls go through the launcher."""

    launcher: Path
    folder: Path  # Of the workspace.
    target: Path
    toolchain: str = "stable"
    globals: list[str] = field(default_factory=list)  # More entries, for all packages.
    sections: dict[str, list[str]] = field(default_factory=dict)  # More entries, by package.

    @property
    def state(self) -> Path:
        return self.target / "buildperm-compile"

    @property
    def session(self) -> Path:
        return self.target / "buildperm-compile-session"

    def prepare(self, packages: Mapping[Path, str] | None = None) -> None:
        """Write the session: for the packages of the workspace, or for those given."""
        self.target.mkdir(parents=True, exist_ok=True)
        given = packages if packages is not None else self._packages()
        rules = compile_filter.build(
            os.uname().machine, syscall_numbers.table(os.uname().machine), landlock.abi()
        )
        program = self.target / "buildperm-filter"
        program.write_bytes(rules)
        entries = [
            *("buildperm-compile 1", f"target {self.target}", f"state {self.state}"),
            *("profile enforcing", "macros outside", "layout 1", f"filter {program}"),
            *(f"session {self.target}/buildperm-session", "w /dev/null"),
            *(f"x {path}" for path in self._run_by_all()),
            *(f"r {path}" for path in _READ),
            *("hidden HIDDEN_BY_VALUE", "secret TOKEN", "secret *_PASSWORD*"),
            *self.globals,
        ]
        for folder, name in given.items():
            entries += [f"package {folder}", f"name {name}", "version 1.2.3", f"crate {name}"]
            entries += [*self.sections.get(name, ("compile hold",)), "digest 0a", f"r {folder}"]
        self.session.write_bytes(b"".join(os.fsencode(each) + b"\0" for each in entries))

    def call(
        self,
        *words: str,
        package: Path | None = None,
        extra: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Make one call of a compiler, as Cargo would for `package`."""
        given = {"CARGO_MANIFEST_DIR": str(package or self.folder)} | dict(extra or {})
        return subprocess.run(
            [str(self.launcher), str(self.session), *words],
            cwd=folder or self.folder,
            env=environment(given),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )

    def cargo(
        self, *words: str, is_held: bool = True, extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run Cargo with its compilers held, or as ever."""
        given = {"CARGO_TARGET_DIR": str(self.target), "RUSTUP_TOOLCHAIN": self.toolchain}
        if is_held:
            rustdoc = run(("rustup", "which", "rustdoc"), self.folder, given)
            given |= {"RUSTC_WRAPPER": str(self._wrapper("rustc"))}
            given |= {"RUSTDOC": str(self._wrapper("rustdoc", rustdoc))}
        return subprocess.run(
            ["cargo", *words],
            cwd=self.folder,
            env=environment(given | dict(extra or {})),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=280,
        )

    def markers(self) -> dict[str, list[str]]:
        """Return the entries of each marker, by the name of its folder."""
        found = {}
        for path in self.state.glob("*/unit"):
            *entries, rest = path.read_text().split("\0")
            assert not rest
            found[path.parent.name] = entries
        return found

    def outputs(self) -> dict[str, bytes]:
        """Return what compiling has left in the target directory."""
        found: dict[str, list[bytes]] = {}
        for path in self.target.rglob("*"):
            name = path.relative_to(self.target)
            if not path.is_file() or name.parts[0].startswith("buildperm"):
                continue
            if path.suffix in {".json", ".TAG"} or path.name.startswith("."):
                continue
            if not {"incremental", ".fingerprint"}.isdisjoint(name.parts):
                continue
            if path.suffix == ".d" and path.parent.name != "deps":
                continue  # Cargo's own change their order.
            found.setdefault(_RANDOM.sub("", str(name)), []).append(path.read_bytes())
        return {name: b"".join(sorted(texts)) for name, texts in found.items()}

    def _wrapper(self, name: str, *compiler: str) -> Path:
        path = self.target / f"buildperm-{name}"
        self.target.mkdir(parents=True, exist_ok=True)
        words = shlex.join([str(self.launcher), str(self.session), *compiler])
        path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        path.chmod(0o755)
        return path

    def _packages(self) -> dict[Path, str]:
        told = json.loads(
            run(("cargo", "metadata", "--format-version", "1"), self.folder, self._chosen())
        )
        return {
            Path(os.path.realpath(Path(each["manifest_path"]).parent)): each["name"]
            for each in told["packages"]
        }

    def _chosen(self) -> dict[str, str]:
        return {"RUSTUP_TOOLCHAIN": self.toolchain}

    def _run_by_all(self) -> Iterable[str]:
        sysroot = run(("rustc", "--print", "sysroot"), self.folder, self._chosen())
        python = {sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable))}
        return sorted({os.path.realpath(path) for path in (*_SYSTEM, sysroot, *python)})
