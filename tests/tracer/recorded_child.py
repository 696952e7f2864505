"""Records real children: `record` runs a command under the recorder and reads the recording."""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from buildperm.sandbox import native_programs
from buildperm.tracer import syscall_numbers, syscall_table
from buildperm.tracer.recording import reader as recording

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# A busy machine is not a slow program, and the tests also run where they may write nothing.
settings.register_profile("tracer", deadline=None, database=None)
settings.load_profile("tracer")

HARNESS = Path(__file__).with_name("harness.py")
CHILDREN = Path(__file__).parent.parent / "children"

HEADER = {
    "crate": "tried",
    "name": "tried",
    "crate_version": "1.0.0",
    "source": "",
    "checksum": "",
    "target": "x86_64-unknown-linux-gnu",
    "host": "x86_64-unknown-linux-gnu",
    "profile": "debug",
    "features": ["default"],
    "kernel": os.uname().release,
    "runtime": "portable",
    "landlock_abi": 7,
    "mode": "learning",
    "buildperm": "0.1.0",
    "session": "",
    "places": {"OUT_DIR": "/out"},
    "path": "/usr/bin:/bin",
    "tools": ["/usr/bin/rustc"],
    "handed_over": [],
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of one run under the recorder."""

    recording: recording.Recording
    path: Path
    stdout: bytes
    python_stops: int  # Those that the Python loop has handled.
    asked: tuple[frozenset[bytes], ...]  # As AskedPaths has them, where that was collected.
    reason: str  # Why nobody can say all of that.


@dataclass(frozen=True, slots=True)
class Record:
    """Runs commands under the recorder; what a recording consists of lies in `home`."""

    home: Path
    cwd: Path
    library: bytes = b""  # Of the inner loop; empty: the Python loop handles every stop.

    def __call__(
        self,
        *argv: str | bytes | Path,
        cwd: Path | None = None,
        refuse: Mapping[str, int] | None = None,
        **options: Any,  # noqa: ANN401 - see `prepare`
    ) -> Recorded:
        """Run `argv` to its end."""
        ran = subprocess.run(
            self.prepare(*argv, refuse=refuse, **options),
            capture_output=True,
            cwd=cwd or self.cwd,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr.decode(errors="replace")
        path = self.home / "recording.jsonl"
        stops = int(Path(f"{path}.stops").read_text())
        reason, *asked = marshal.loads(Path(f"{path}.asked").read_bytes())
        return Recorded(recording.read(path), path, ran.stdout, stops, tuple(asked), reason)

    def prepare(
        self,
        *argv: str | bytes | Path,
        env: Mapping[bytes, bytes] | None = None,
        refuse: Mapping[str, int] | None = None,
        withheld: Sequence[bytes] = (),
        caps: Mapping[str, int] | None = None,
        process_limit: int = 0,
        stop_after_s: int = 0,
        readable: Sequence[str | Path] = (),
        writable: Sequence[str | Path] = (),
        collects: bool = False,
    ) -> list[str]:
        """Return the command that runs `argv` under the recorder."""
        refuse = refuse or {}
        numbers = syscall_numbers.table()
        wanted = (*syscall_table.recorded(), *(syscall_table.looks() if collects else ()))
        names = [name for name in wanted if name in numbers and name not in refuse]
        recorded = {numbers[name]: 0 for name in names}
        recorded |= {numbers[name]: errno for name, errno in refuse.items()}
        spec = {
            "argv": [os.fsencode(argument) for argument in argv],
            "env": dict(env if env is not None else {b"PATH": os.environb[b"PATH"]}),
            "filter": recorded,
            "library": self.library,
            "calls": {numbers[name]: name for name in {*names, *refuse}},
            "caps": dict(caps or {}),
            "withheld": list(withheld),
            "process_limit": process_limit,
            "collects": collects,
            "stop_after_s": stop_after_s,
            "readable": [os.fsencode(path) for path in readable],
            "writable": [os.fsencode(path) for path in writable],
            "header": HEADER,
            "recording": os.fsencode(self.home / "recording.jsonl"),
        }
        (self.home / "spec").write_bytes(marshal.dumps(spec))
        return [sys.executable, "-IS", str(HARNESS), str(self.home / "spec")]


@pytest.fixture(scope="session")
def inner_loop(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the library of the inner loop, as it is compiled here."""
    if not native_programs.compiler_name():
        pytest.skip("no C compiler")
    made = native_programs.inner_loop(tmp_path_factory.mktemp("programs") / "kept")
    assert made
    return made


@pytest.fixture(params=["python", "inner"])
def record(tmp_path: Path, request: pytest.FixtureRequest) -> Record:
    """Return what runs commands under the recorder, in `tmp_path` unless told otherwise.

    Each test runs twice: with the Python loop alone, and with the inner loop.
    """
    home = tmp_path / "recorder"
    home.mkdir()
    library = request.getfixturevalue("inner_loop") if request.param == "inner" else b""
    return Record(home, tmp_path, library)


@dataclass(slots=True)
class Children:
    """Compiles the C programs of tests/children, each once per session."""

    folder: Path
    made: dict[tuple[str, ...], Path] = field(default_factory=dict)

    def __call__(self, name: str, *flags: str) -> Path:
        key = (name, *flags)
        if key not in self.made:
            program = self.folder / f"{name}{len(self.made)}"
            source = CHILDREN / f"{name}.c"
            subprocess.run(
                ["cc", "-O1", "-Wall", "-Werror", "-pthread", "-o", program, source, *flags],
                check=True,
            )
            self.made[key] = program
        return self.made[key]


@pytest.fixture(scope="session")
def child(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return what compiles a child by name."""
    return Children(tmp_path_factory.mktemp("children"))
