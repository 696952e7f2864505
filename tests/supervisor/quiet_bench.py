"""Hosts of macros that a real launcher and a real fork server start for a compiler that obeys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from buildperm.sandbox import native_programs
from tests.bench import Bench, processes_with, wait_until
from tests.command import environment
from tests.programs import CHILDREN
from tests.supervisor.held_calls import SOURCES, HeldCalls
from tests.supervisor.macro_bench import LIBRARY, MacroBench, served

PROGRAM = CHILDREN / "expanding_compiler.py"
KEY = "debug%deps%app-0123456789abcdef"


@dataclass(slots=True)
class QuietBench:
    """A bench of macros whose hosts a launcher starts."""

    macros: MacroBench
    calls: HeldCalls
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where the recordings of this call are."""
        return self.macros.bench.target / "buildperm-compile" / KEY

    def recorded(self, kind: str, folder: str = LIBRARY) -> list[dict[str, Any]]:
        """Return the lines of one type in the recording of a host."""
        text = (self.folder / folder / "buildperm/recording.jsonl").read_text()
        return [line for line in map(json.loads, text.splitlines()) if line["type"] == kind]

    def opened(self, folder: str = LIBRARY) -> dict[str, int]:
        """Return the error by path of what was opened, but for the library."""
        events = self.recorded("opened", folder)
        found = {event["path"]: event.get("errno", 0) for event in events}
        assert found.pop(str(self.macros.library)) == 0
        return found

    def load(self, constructor: str = "") -> None:
        """Compile the library anew, with a constructor that obeys, too."""
        defined = [f'-DCONSTRUCTOR="{constructor}"'] if constructor else []
        made = self.macros.library.with_suffix(".new")
        source = CHILDREN / "obeying_library.c"
        words = [*("cc", "-O1", "-shared", "-fPIC"), f"-I{SOURCES}", *defined, "-o", str(made)]
        subprocess.run([*words, str(source), "-pthread"], check=True)
        made.rename(self.macros.library)

    def start(self, *steps: str) -> subprocess.Popen[str]:
        """Have a compiler make steps; what it prints can be read from it."""
        self.macros.write_session()
        self.macros.bench.owned()
        words = (
            *(sys.executable, str(PROGRAM), "--crate-name", "app", "--emit=link"),
            *("-C", "extra-filename=-0123456789abcdef"),
            *("--out-dir", str(self.macros.library.parent), "--", str(self.macros.library), *steps),
        )
        self.running.append(
            subprocess.Popen(
                [self.calls.launcher, self.calls.session, *words],
                cwd=self.macros.bench.package,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return self.running[-1]

    def environment(self) -> dict[str, str]:
        """Return what the launcher is given."""
        given = {
            "CARGO_MANIFEST_DIR": str(self.macros.bench.package),
            "BUILDPERM_SERVER": self.macros.server,
            "BUILDPERM_SESSION": str(self.macros.bench.top / "session"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.macros.environment,
        }
        return environment(given)

    def request(self) -> bytes:
        """Return the request of the launcher, as a supervisor gets it."""
        entries = self.macros.request(out_dir="", cwd=str(self.macros.bench.package))[4:].split(
            b"\0"
        )
        kept = [each for each in entries[:-1] if not each.startswith(b"env ")]
        kept += [os.fsencode(f"env {name}={value}") for name, value in self.environment().items()]
        content = b"".join(each + b"\0" for each in kept)
        return len(content).to_bytes(4, "little") + content

    def expand(self, *steps: str) -> subprocess.CompletedProcess[str]:
        """Have a compiler make steps to its end."""
        process = self.start(*steps)
        stdout, stderr = process.communicate(timeout=60)
        return subprocess.CompletedProcess([], process.returncode, stdout, stderr)

    def hosts(self) -> list[int]:
        """Return the processes of hosts that run."""
        mark = f"{self.macros.host}\0{self.macros.library}".encode()
        return [
            pid
            for pid in processes_with(bytes(self.macros.library))
            if read_if_there(f"/proc/{pid}/cmdline").startswith(mark)
        ]

    def host(self) -> int:
        """Wait for the one host that runs."""
        found: list[int] = []

        def is_there() -> bool:
            found[:] = self.hosts()
            return len(found) == 1

        assert wait_until(is_there)
        return found[0]

    def close(self) -> None:
        """End what still runs."""
        for each in self.running:
            each.kill()
            each.communicate()


def tracer(pid: int) -> str:
    """Return what program traces `pid`: `launcher`, a name of Python, or nothing."""
    lines = read_if_there(f"/proc/{pid}/status").decode().splitlines()
    found = [line.split()[1] for line in lines if line.startswith("TracerPid:")]
    if found in ([], ["0"]):  # It may have ended meanwhile.
        return ""
    return read_if_there(f"/proc/{found[0]}/comm").decode().strip()


def read_if_there(path: str) -> bytes:
    """Return the content of a file, nothing where it or its process is gone."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


@contextmanager
def quiet_bench(bench: Bench) -> Iterator[QuietBench]:
    """Prepare a bench whose macros obey, with a fork server."""
    programs = native_programs.programs()
    macros = MacroBench(bench, programs.host, bench.package)
    macros.prepare()
    calls = HeldCalls(
        programs.launcher,
        bench.package,
        bench.target,
        globals=[f"r {PROGRAM}", f"shim {programs.shim}"],
        sections={"app": ["compile hold"]},
    )
    calls.prepare({bench.package: "app"})
    session = calls.session.read_bytes()
    ours = os.fsencode(f"session {bench.target}/buildperm-session")
    calls.session.write_bytes(session.replace(ours, os.fsencode(f"session {bench.top}/session")))
    libraries = calls.state / "libraries"
    libraries.mkdir(parents=True)
    (libraries / f"debug%deps%{LIBRARY}").write_text(f"{macros.macros}\0")
    made = QuietBench(macros, calls)
    made.load()
    with served(macros):
        try:
            yield made
        finally:
            made.close()
            macros.close()
