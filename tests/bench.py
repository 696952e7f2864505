"""A hand-made workspace and session around one build script, run by the real supervisor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from buildperm.policy.kinds import GRANTABLE
from buildperm.sandbox import native_programs, seccomp, start_programs
from buildperm.sandbox.stub import stub
from buildperm.supervisor import landlock, syscalls
from buildperm.supervisor.session import VERSION, dump
from buildperm.tracer import syscall_numbers
from buildperm.tracer import syscall_table as calls

if TYPE_CHECKING:
    from typing import Literal

    from buildperm.supervisor.session import Session, SessionPackage

OTHER_UID = 2000
SYSTEM_PYTHON = Path("/usr/bin/python3")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run went."""

    status: int
    stdout: bytes
    stderr: bytes
    events: list[dict[str, Any]]  # The lines of the recording; empty where there is none.

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the lines of one type."""
        return [event for event in self.events if event["type"] == kind]

    def refused(self, kind: str) -> list[str]:
        """Return what was refused among the events of one type."""
        names = ("path", "address", "call")
        return [
            next(str(event[name]) for name in names if name in event)
            for event in self.of(kind)
            if event.get("refused") or kind == "call"
        ]


@dataclass(slots=True)
class Bench:
    """One package in one workspace; `run` starts its stub as Cargo would."""

    top: Path
    uid: int
    python: Path  # Runs the supervisor.
    grants: dict[str, list[str]] = field(default_factory=dict)
    deny: dict[str, list[str]] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    loaded: list[bytes] = field(default_factory=list)
    limits: dict[str, int] = field(default_factory=dict)
    own_limits: dict[str, int] = field(default_factory=dict)
    others: dict[str, dict[str, Any]] = field(default_factory=dict)  # Grants by folder.
    environment: dict[str, str] = field(default_factory=dict)
    rustc_wrapper: bytes = b""
    abi: int = landlock.NEWEST
    wrapper: list[bytes] = field(default_factory=list)
    mounts: bool = False
    light: bool = False  # Observes lightly.
    kept: Path | None = None  # Where results are kept; None: they are not.
    lists: bool = True  # Tools list what they ask for, where they observe lightly and are kept.
    has_inner_loop: bool = True
    has_starter: bool = True
    has_room: bool = True
    has_shell_stub: bool = False
    calls: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in (self.package, self.out_dir, self.home, self.cargo_home, self.sysroot):
            folder.mkdir(parents=True, exist_ok=True)
        (self.workspace / "Cargo.toml").write_text("[workspace]\n")
        (self.package / "Cargo.toml").write_text("[package]\n")

    @property
    def workspace(self) -> Path:
        return self.top / "ws"

    @property
    def package(self) -> Path:
        return self.workspace / "crate"

    @property
    def target(self) -> Path:
        return self.workspace / "target"

    @property
    def unit(self) -> Path:
        return self.target / "debug/build/crate-1"

    @property
    def out_dir(self) -> Path:
        return self.unit / "out"

    @property
    def recording(self) -> Path:
        return self.unit / "buildperm/recording.jsonl"

    @property
    def home(self) -> Path:
        return self.top / "home/u"

    @property
    def cargo_home(self) -> Path:
        return self.home / ".cargo"

    @property
    def sysroot(self) -> Path:
        return self.top / "sysroot"

    @property
    def progress(self) -> Path:
        return self.top / "progress"

    def owned(self) -> None:
        """Give everything to the user that the script runs as."""
        if os.getuid() == 0 and self.uid:
            subprocess.run(["chown", "-R", f"{self.uid}:{self.uid}", str(self.top)], check=True)

    def install(self, program: Path) -> Path:
        """Put `program` in the place of a real build script, and a stub before it."""
        folder = self.target / "debug/build/crate-0"
        folder.mkdir(parents=True, exist_ok=True)
        real = folder / "build_script_build-0.real"
        shutil.copy(program, real)
        real.chmod(0o755)
        placed = folder / "build-script-build"
        placed.write_bytes(self.stub() + b"# real: build_script_build-0.real\n")
        placed.chmod(0o755)
        return placed

    def stub(self) -> bytes:
        program = b"" if self.has_shell_stub else None
        text = stub(os.fsencode(self.target / "buildperm-session"), program)
        return text.replace(os.fsencode(sys.executable), os.fsencode(self.python))

    def script(self, body: str) -> Path:
        """Install a Python script as the build script; the interpreter is always granted."""
        source = self.top / "script.py"
        source.write_text(f"#!{SYSTEM_PYTHON} -IS\n{body}")
        source.chmod(0o755)
        return self.install(source)

    def session(self, profile: Literal["learning", "enforcing"]) -> Session:
        numbers = syscall_numbers.table()
        machine, looks = os.uname().machine, self.mounts or not self.light
        granted = {kind: list(self.grants.get(kind, [])) for kind in map(str, GRANTABLE)}
        granted["exec"].append(str(SYSTEM_PYTHON))
        package: SessionPackage = {
            "crate": "crate",
            "id": "crate 0.1.0",
            "name": "crate",
            "version": "0.1.0",
            "source": "",
            "checksum": "",
            "read": granted["read"],
            "write": granted["write"],
            "exec": granted["exec"],
            "net": granted["net"],
            "env": granted["env"],
            "directives": granted["directives"],
            "deny": dict(self.deny),
            "secrets": list(self.secrets),
            "limits": dict(self.own_limits),
            "digest": "d1",
        }
        made: Session = {
            "version": VERSION,
            "python": self.hexversion(),
            "buildperm": "0.1.0",
            "profile": profile,
            "runtime": "full" if self.mounts else "portable",
            "sandbox_wrapper": list(self.wrapper),
            "mounts": self.mounts,
            "starter": self.starter() if self.has_starter else b"",
            "room": self.has_room,
            "landlock_abi": landlock.abi(self.abi),
            "kernel": os.uname().release,
            "looks": looks,
            "quiet_filter": seccomp.build(machine, numbers, calls.recorded()),
            "filter": seccomp.build(machine, numbers, calls.recorded(), looks=looks),
            "look_filter": seccomp.build(machine, numbers, calls.recorded(), looks=True),
            "every_look_filter": seccomp.build(machine, numbers, calls.recorded(), every_look=True),
            "calls": seccomp.stopping(
                numbers,
                calls.recorded(),
                light=self.light,
                every_look=True,
                listed=self.light,
            ),
            "inner_loop": native_programs.inner_loop() if self.has_inner_loop else b"",
            "places": {
                "WORKSPACE": os.fsencode(self.workspace),
                "TARGET_DIR": os.fsencode(self.target),
                "CARGO_HOME": os.fsencode(self.cargo_home),
                "SYSROOT": os.fsencode(self.sysroot),
                "HOME": os.fsencode(self.home),
            },
            "path": b"/usr/bin:/bin",
            "loaded": list(self.loaded),
            "rustc_wrapper": self.rustc_wrapper,
            "progress": os.fsencode(self.progress),
            "packages": {os.fsencode(self.package): package},
            "limits": dict(self.limits),
        }
        for folder, given in self.others.items():
            other = {**package, "crate": folder, "exec": [], **given}
            made["packages"][os.fsencode(self.workspace / folder)] = cast("SessionPackage", other)
        if self.kept is not None:
            self.kept.mkdir(mode=0o700, exist_ok=True)
            store = os.fsencode(self.kept)
            made["cache"] = {"folder": store, "machine": "this one", "by": "somebody"}
        if self.light:
            if self.lists:
                made["listed_filter"] = seccomp.build(
                    machine, numbers, calls.recorded(), every_look=True, listed=True
                )
            made["light_filter"] = seccomp.build(
                machine, numbers, calls.recorded(), light=True, looks=looks
            )
        return made

    def starter(self) -> bytes:
        """Copy the starter to where the bench's user may execute it."""
        place = self.top / "starter"
        compiled = start_programs.starter()
        if compiled and not place.exists():
            shutil.copy(os.fsdecode(compiled), place)
            place.chmod(0o755)
        return bytes(place) if compiled else b""

    def hexversion(self) -> int:
        if os.path.samefile(self.python, sys.executable):
            return sys.hexversion
        command = [str(self.python), "-IS", "-c", "import sys; print(sys.hexversion)"]
        return int(subprocess.run(command, check=True, capture_output=True).stdout)

    def variables(self) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "OUT_DIR": str(self.out_dir),
            "CARGO_MANIFEST_DIR": str(self.package),
            "TARGET": "x86_64-unknown-linux-gnu",
            "HOST": "x86_64-unknown-linux-gnu",
            "PROFILE": "debug",
            "CARGO_FEATURE_STD": "1",
            "BUILDPERM_SESSION": str(self.top / "session"),
            **self.environment,
        }

    def as_user(self) -> list[str]:
        """Return the words that make a command run as the bench's user."""
        if not self.uid or os.getuid() != 0:
            return []
        ids = ["--reuid", str(self.uid), "--regid", str(self.uid), "--clear-groups"]
        return ["setpriv", *ids]

    def start(
        self,
        placed: Path,
        profile: Literal["learning", "enforcing"] = "enforcing",
        **options: Any,  # noqa: ANN401 - for Popen, which takes anything
    ) -> subprocess.Popen[bytes]:
        """Start the stub at `placed`; `options` go to Popen."""
        (self.top / "session").write_bytes(dump(self.session(profile)))
        self.owned()
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        environment = options.pop("env", self.variables())
        return subprocess.Popen(
            [*self.as_user(), str(placed)], cwd=self.package, env=environment, **options
        )

    def run(
        self,
        placed: Path,
        profile: Literal["learning", "enforcing"] = "enforcing",
        timeout_s: float = 240,
        **options: Any,  # noqa: ANN401 - for Popen, which takes anything
    ) -> Ended:
        """Run the stub at `placed` to its end."""
        with self.start(placed, profile, **options) as process:
            stdout, stderr = process.communicate(timeout=timeout_s)
        return Ended(process.returncode, stdout or b"", stderr or b"", self.events())

    def events(self) -> list[dict[str, Any]]:
        if not self.recording.exists():
            return []
        return [json.loads(line) for line in self.recording.read_text().splitlines()]

    def progress_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.progress.read_text().splitlines()]


def compile_c(source: str, program: Path, *flags: str) -> Path:
    """Compile C `source` into `program`."""
    text = program.with_suffix(".c")
    text.write_text(source)
    subprocess.run(["cc", "-O1", "-o", program, text, *flags], check=True)
    return program


def wait_until(holds: Callable[[], bool], timeout_s: float = 60) -> bool:
    """Check `holds()` repeatedly, for `timeout_s` at most; return its last answer."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


def processes_with(mark: bytes) -> list[int]:
    """List the processes whose environment or command line holds `mark`."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                texts = [
                    Path(f"/proc/{entry}/{name}").read_bytes() for name in ("cmdline", "environ")
                ]
            except OSError:
                continue
            if any(mark in text for text in texts):
                found.append(int(entry))
    return found


def filtered() -> None:
    """Put this process under a filter that allows everything."""
    syscalls.control(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    syscalls.install((0x7FFF0000 << 32 | 6).to_bytes(8, "little"))  # BPF_RET: allow.


USERS = ["own", "other"] if os.getuid() == 0 else ["own"]


@pytest.fixture(params=USERS)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Make a bench for the user that runs the tests and, where that is root, for another."""
    yield from make_bench(str(request.param))


@pytest.fixture
def own_bench() -> Iterator[Bench]:
    """Make a bench for the user that runs the tests."""
    yield from make_bench("own")


def make_bench(user: str) -> Iterator[Bench]:
    is_other = user == "other"
    python = SYSTEM_PYTHON if is_other else Path(sys.executable)
    top = Path(os.path.realpath(tempfile.mkdtemp(prefix="buildperm-bench-")))
    top.chmod(0o755)
    try:
        yield Bench(top, OTHER_UID if is_other else 0, python)
    finally:
        subprocess.run(["chmod", "-R", "u+rwX", str(top)], check=False)
        subprocess.run(["rm", "-rf", str(top)], check=True)  # Takes trees of any depth.
