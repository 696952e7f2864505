"""A person's machine on which plain Cargo is used: a home, a workspace, a secret, a server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import buildperm as package
from tests.command import environment

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbg==\n-----END OPENSSH PRIVATE KEY-----\n"
QUIET = """fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=AGAIN");
}
"""
_STEALS = """
use std::{env, fs, net::TcpStream};
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=AGAIN");
    let read = fs::read(KEY).is_ok();
    let connected = TcpStream::connect(ADDRESS).is_ok();
    fs::write(format!("{}/loot", env::var("OUT_DIR").unwrap()), format!("{read} {connected}"))
        .unwrap();
}
"""


@dataclass
class PersonsMachine:
    """What plain Cargo sees, and what a hostile build script is after."""

    home: Path
    workspace: Path
    port: int
    extra: dict[str, str] = field(default_factory=dict)
    package: Path | None = None  # Where buildperm is, if it is not the one under test.

    @property
    def cargo_home(self) -> Path:
        return self.home / ".cargo"

    @property
    def configuration(self) -> Path:
        return self.cargo_home / "config.toml"

    @property
    def state(self) -> Path:
        return self.home / ".local/state/buildperm"

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "buildperm"]

    @property
    def steals(self) -> str:
        """Return a build script that reads a key and connects, and notes what it could do."""
        key = f'"{self.home / ".ssh/id_rsa"}"'
        return _STEALS.replace("KEY", key).replace("ADDRESS", f'"127.0.0.1:{self.port}"')

    def variables(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        own = {"HOME": str(self.home), "CARGO_HOME": str(self.cargo_home)}
        # What was compiled for all tests: the programs that hold, and what was asked of rustc.
        own["XDG_CACHE_HOME"] = str(Path(os.environ["HOME"]) / ".cache")
        if self.package is not None:
            own["PYTHONPATH"] = str(self.package)
        return environment(own | self.extra | dict(more or {}))

    def cargo(
        self, *words: str, folder: Path | None = None, more: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self._run(["cargo", *words], folder, more)

    def buildperm(
        self, *words: str, folder: Path | None = None, more: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self._run([*self.command, *words], folder, more)

    def _run(
        self, command: list[str], folder: Path | None, more: Mapping[str, str] | None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=folder or self.workspace,
            env=self.variables(more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def install_into(self, folder: Path) -> None:
        """Use a copy of buildperm in `folder`, which can go."""
        shutil.copytree(
            Path(package.__file__).parent,
            folder / "buildperm",
            ignore=shutil.ignore_patterns("__pycache__", "target"),
        )
        self.package = folder

    def enable(self, *words: str) -> None:
        done = self.buildperm("enable", *words)
        assert done.returncode == 0, done.stderr

    def disable(self) -> None:
        done = self.buildperm("disable", "--user")
        assert done.returncode == 0, done.stderr

    def loot(self, below: Path | None = None) -> set[str]:
        """Return what all runs of the thief could do, `READ CONNECTED`, and forget it."""
        found = set()
        for folder, _, names in os.walk(below or self.workspace):  # Others still tidy up there.
            if "loot" in names:
                path = Path(folder, "loot")
                found.add(path.read_text())
                path.unlink()
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[PersonsMachine]:
    """Make one with a workspace of a program, a library with a build script, and macros."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/id_rsa").write_text(KEY)
    (home / ".cargo").mkdir()
    workspace = tmp_path / "space"
    make_workspace(workspace)
    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = threading.Thread(target=_serve, args=(server,), daemon=True)
        serving.start()
        yield PersonsMachine(home, workspace, server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        serving.join()


def make_workspace(folder: Path) -> None:
    """Make a workspace whose build script does nothing."""
    (folder / "lib/src").mkdir(parents=True)
    (folder / "mac/src").mkdir(parents=True)
    (folder / "src").mkdir()
    (folder / "Cargo.toml").write_text(
        '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n'
        '[dependencies]\nlib = { path = "lib" }\nmac = { path = "mac" }\n'
        '[workspace]\nmembers = ["lib", "mac"]\n'
    )
    (folder / "src/main.rs").write_text(
        'fn main() { println!("{} {}", lib::answer(), mac::seven!()); }\n'
        "#[test]\nfn adds() { assert_eq!(lib::answer(), 42); }\n"
    )
    (folder / "lib/Cargo.toml").write_text(
        '[package]\nname = "lib"\nversion = "0.1.0"\nedition = "2021"\n'
    )
    (folder / "lib/src/lib.rs").write_text(
        "/// ```\n/// assert_eq!(lib::answer(), 42);\n/// ```\npub fn answer() -> u32 { 42 }\n"
    )
    (folder / "lib/build.rs").write_text(QUIET)
    (folder / "mac/Cargo.toml").write_text(
        '[package]\nname = "mac"\nversion = "0.1.0"\nedition = "2021"\n[lib]\nproc-macro = true\n'
    )
    (folder / "mac/src/lib.rs").write_text(
        "#[proc_macro]\npub fn seven(_: proc_macro::TokenStream) -> proc_macro::TokenStream {\n"
        '    "7".parse().unwrap()\n}\n'
    )


def _serve(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        connection.close()


def states(said: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return what `cargo -v` said about each package: Fresh, Dirty, Compiling and so on."""
    lines = (line.split() for line in said.stderr.split("\n"))
    return {words[1]: words[0] for words in lines if len(words) > 2 and words[2].startswith("v")}


def is_world_readable(path: Path) -> bool:
    return bool(os.stat(path).st_mode & 0o077)
