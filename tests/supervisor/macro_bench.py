"""A hand-made session around one package of macros, and a launcher that asks for their host."""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildperm.cargo.fork_server_client import ForkServerClient
from buildperm.sandbox.stub import SUPERVISOR
from buildperm.supervisor.fork_request import SERVER
from buildperm.supervisor.session import dump
from tests.bench import Bench, wait_until
from tests.programs import CHILDREN

if TYPE_CHECKING:
    from typing import Literal

    from buildperm.supervisor.session import Session, SessionConsumer, SessionMacros

LIBRARY = "libmacros-1.so"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one thing that the host was told to do."""

    code: int  # An error number; 0: it worked.
    text: str


@dataclass(slots=True)
class Host:
    """A host that runs, seen from its compiler and the launcher."""

    bridge: socket.socket
    connection: socket.socket
    errors: int  # Where what it prints, and its supervisor, comes out.
    supervisor: subprocess.Popen[bytes] | None = None  # None: a worker of the fork server.

    def tell(self, verb: str, argument: object = "") -> Answer:
        """Have it do something."""
        self.say(verb, argument)
        return self.hear()

    def say(self, verb: str, argument: object = "") -> None:
        self.bridge.sendall(f"{verb} {argument}".rstrip().encode() + b"\n")

    def hear(self) -> Answer:
        line = b""
        while not line.endswith(b"\n"):
            piece = self.bridge.recv(1 << 12)
            if not piece:
                raise EOFError(line)
            line += piece
        code, _, text = line.decode().rstrip("\n").partition(" ")
        return Answer(int(code), text)

    def end(self) -> int:
        """End the compilation; return what the launcher is told, -1 if it is told nothing."""
        self.bridge.close()
        return self.wait()

    def wait(self) -> int:
        """Wait for the end."""
        self.connection.settimeout(120)
        told = b""
        while piece := self.connection.recv(100):
            told += piece
        return int(told) if told else -1

    def printed(self) -> str:
        """Return what was printed, after the end."""
        with open(self.errors, "rb", closefd=False) as file:
            return file.read().decode()


@dataclass(slots=True)
class MacroBench:
    """A bench with a package of macros, which a member of the workspace and another package use."""

    bench: Bench
    host: Path
    consumer: Path
    grants: dict[str, list[str]] = field(default_factory=dict)
    deny: dict[str, list[str]] = field(default_factory=dict)
    consumers: list[Path] = field(default_factory=list)  # For whom the grants hold, too.
    limits: dict[str, int] = field(default_factory=dict)
    profile: Literal["learning", "enforcing"] = "enforcing"
    has_out_dir: bool = True
    environment: dict[str, str] = field(default_factory=dict)
    server: str = ""  # The folder of the fork server; empty: there is none.
    started: list[Host] = field(default_factory=list)

    @property
    def macros(self) -> Path:
        return self.bench.cargo_home / "registry/src/index/macros-1.0.0"

    @property
    def library(self) -> Path:
        return self.bench.target / "debug/deps" / LIBRARY

    @property
    def folder(self) -> Path:
        return self.bench.target / "buildperm-compile/debug%deps%app-1" / LIBRARY

    @property
    def scratch(self) -> Path:
        """The private folder of the first host that runs at a time."""
        if not self.server:
            return self.folder / "buildperm/scratch"
        name = os.path.basename(self.server)
        return self.bench.target / "buildperm-compile/scratch" / f"{name}-1"

    @property
    def recording(self) -> Path:
        return self.folder / "buildperm/recording.jsonl"

    def prepare(self) -> None:
        """Make all files but the session."""
        for folder in (self.macros, self.library.parent, self.folder, self.bench.package / "tests"):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.macros, self.other):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "Cargo.toml").write_text("[package]\n")
        self.library.write_text("a library\n")
        (self.bench.workspace / "Cargo.lock").write_text("version = 4\n")

    @property
    def other(self) -> Path:
        """A package that is no member."""
        return self.bench.cargo_home / "registry/src/index/other-2.0.0"

    def session(self) -> Session:
        session = self.bench.session(self.profile)
        (described,) = session["packages"].values()
        macros: SessionMacros = {
            **described,
            "crate": "macros",
            "name": "macros",
            "version": "1.0.0",
            "source": "registry+https://example.org/index",
            "read": self.grants.get("read", []),
            "write": self.grants.get("write", []),
            "exec": self.grants.get("exec", []),
            "net": self.grants.get("net", []),
            "env": self.grants.get("env", []),
            "deny": self.deny,
            "limits": self.limits,
            "for": [os.fsencode(each) for each in self.consumers],
        }
        manifests = (self.bench.workspace, self.bench.package)
        session["macros"] = {os.fsencode(self.macros): macros}
        session["members"] = [os.fsencode(self.bench.package)]
        session["manifests"] = [os.fsencode(each / "Cargo.toml") for each in manifests]
        session["manifests"].append(os.fsencode(self.bench.workspace / "Cargo.lock"))
        session["consumers"] = {
            os.fsencode(self.bench.package): _consumer("app", "0.1.0"),
            os.fsencode(self.other): _consumer("other", "2.0.0"),
        }
        session["compile"] = {
            "mode": "hold",
            "macros": "outside",
            "host": os.fsencode(self.host),
            "digest": "",
        }
        return session

    def request(self, **changed: str) -> bytes:
        """Write a request, with its length; `changed` are entries with `_` for `-`."""
        entries = {
            "macro": "1",
            "session": str(self.bench.top / "session"),
            "library": str(self.library),
            "manifest": str(self.macros),
            "consumer": str(self.consumer),
            "out-dir": str(self.bench.out_dir) if self.has_out_dir else "",
            "cwd": str(self.bench.workspace),
            "folder": str(self.folder),
        }
        entries |= {name.replace("_", "-"): value for name, value in changed.items()}
        lines = [f"{name} {value}" for name, value in entries.items()]
        lines += [f"env {name}={value}" for name, value in self.variables().items()]
        content = b"".join(os.fsencode(line) + b"\0" for line in lines)
        return len(content).to_bytes(4, "little") + content

    def variables(self) -> dict[str, str]:
        given = self.bench.variables()
        for name in ("TARGET", "HOST", "PROFILE", "CARGO_FEATURE_STD"):
            del given[name]
        return given | {"CARGO_PKG_NAME": "app", "CARGO": "/usr/bin/true"} | self.environment

    def write_session(self) -> None:
        made = self.bench.top / "session.new"  # Workers may be reading the other one.
        made.write_bytes(dump(self.session()))
        made.rename(self.bench.top / "session")

    def start(self, request: bytes | None = None) -> Host:
        """Ask for a host as the launcher does."""
        self.write_session()
        self.bench.owned()
        ours, theirs = socket.socketpair()
        ours.settimeout(120)
        supervisor = None
        if self.server:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(f"{self.server}/macros")
        else:
            connection, inner = socket.socketpair()
            with inner:
                supervisor = subprocess.Popen(
                    [sys.executable, "-IS", SUPERVISOR, "--macro"], stdin=inner.fileno()
                )
        errors, stderr = os.pipe()
        request = self.request() if request is None else request
        handles = array.array("i", [theirs.fileno(), stderr])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)]
        connection.sendmsg([request[:4]], ancillary)
        with contextlib.suppress(BrokenPipeError):
            connection.sendall(request[4:])
        theirs.close()
        os.close(stderr)
        self.started.append(Host(ours, connection, errors, supervisor))
        return self.started[-1]

    def close(self) -> None:
        """Close what is open to all hosts, which ends them."""
        for host in self.started:
            host.bridge.close()
            host.connection.close()
            os.close(host.errors)
            if host.supervisor is not None:
                host.supervisor.wait(120)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.recording.read_text().splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the lines of one type."""
        return [line for line in self.lines() if line["type"] == kind]

    def refused(self) -> set[str]:
        """Return what was refused: paths, addresses and calls."""
        names = ("path", "address", "call")
        return {
            next(str(line[name]) for name in names if name in line)
            for line in self.lines()
            if line.get("refused") or line["type"] == "call"
        }


def _consumer(name: str, version: str) -> SessionConsumer:
    return {"crate": name, "name": name, "version": version, "source": ""}


def compiled_host(folder: Path) -> Path:
    """Compile the program that stands in place of a host."""
    program = folder / "obeying_host"
    source = CHILDREN / "obeying_host.c"
    subprocess.run(["cc", "-O1", "-o", program, source, "-ldl", "-pthread"], check=True)
    return program


@contextlib.contextmanager
def served(made: MacroBench) -> Iterator[MacroBench]:
    """Start a fork server for a bench."""
    made.write_session()
    with ForkServerClient(str(made.bench.top / "session")) as server:
        made.server = server.environment[SERVER]
        assert wait_until((Path(made.server) / "requests").exists)
        yield made
