"""Crates of macros and what uses them, compiled by a real rustc, as usual and with the shim."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from buildperm.sandbox import macro_interface, native_programs
from buildperm.sandbox.native_programs import NativePrograms
from buildperm.sandbox.shimmed_compiler import CompilerRun, ShimmedCompiler
from tests.programs import program_text

TIMEOUT_S = 120
STABLE = 1  # The layout of the tool chain that tests use.


def rustc(channel: str = "") -> Path:
    """Find the rustc itself, not the stand-in of rustup."""
    command = ["rustc", *([f"+{channel}"] if channel else []), "--print=sysroot"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return Path(found.stdout.strip()) / "bin" / "rustc"


@dataclass(frozen=True, slots=True)
class MacroWorkshop:
    """A folder to compile in, and what with."""

    folder: Path
    programs: NativePrograms
    compiler: Path

    def plain(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Compile as usual."""
        return subprocess.run(
            [self.compiler, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def macros(self, program: str, name: str = "macros", **values: str) -> Path:
        """Compile a program of tests/children to a library of macros."""
        source = self.folder / f"{name}.rs"
        source.write_text(program_text(program, **values))
        options = ("--crate-type=proc-macro", "--edition=2021", "-Cextra-filename=-1", "-Awarnings")
        done = self.plain(*options, f"--crate-name={name}", source)
        assert done.returncode == 0, done.stderr
        return self.folder / f"lib{name}-1.so"

    def shimmed(
        self,
        *arguments: str | Path,
        layout: int = STABLE,
        foreseen: str = "",
        environ: dict[str, str] | None = None,
        host: Path | None = None,
        kept_table: bytes = b"",
        withheld: tuple[str, ...] = (),
        flags: int = 0,
        program: Path | None = None,
    ) -> CompilerRun:
        """Compile with macros in processes of their own; by default as builds do."""
        compiler = ShimmedCompiler(
            shim=self.programs.shim,
            host=host or self.programs.host,
            layout=layout,
            foreseen=foreseen or macro_interface.layout(self.compiler, self.programs).foreseen,
            flags=flags,
            withheld=withheld,
            kept_table=kept_table,
        )
        return compiler.run(
            ["/usr/bin/env", "-C", self.folder, program or self.compiler, *arguments],
            environ={**os.environ, **(environ or {})},
            timeout_s=TIMEOUT_S,
        )

    def consumer(self, text: str, *libraries: Path) -> list[str | Path]:
        """Write a crate that uses libraries, and return how it is compiled."""
        (self.folder / "consumer.rs").write_text(text)
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        externs = [
            f"--extern={path.name.removeprefix('lib').partition('-')[0]}={path}"
            for path in libraries
        ]
        options = ("--crate-type=lib", "--edition=2021", "-Awarnings", "--emit=metadata,mir")
        return [*options, "--out-dir", out, *externs, "consumer.rs"]

    def made(self) -> dict[str, bytes]:
        """Return what a compiler made, and make place for another one."""
        found = {path.name: path.read_bytes() for path in (self.folder / "out").iterdir()}
        for path in (self.folder / "out").iterdir():
            path.unlink()
        return found


def workshop(folder: Path, channel: str = "") -> MacroWorkshop:
    """Make a workshop in `folder`."""
    return MacroWorkshop(folder, native_programs.programs(), rustc(channel))
