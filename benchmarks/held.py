"""A workspace that is built once under buildperm, so that its scripts can be run repeatedly."""

from __future__ import annotations

import marshal
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import lock, metadata, session_maker, target_directory, toolchain, units
from buildperm.cargo.cargo_process import CargoProcess
from buildperm.policy import manifest
from buildperm.sandbox import runtime as runtimes
from buildperm.supervisor import session as sessions

if TYPE_CHECKING:
    from buildperm.supervisor.session import Session, SessionCache

ROOT = Path(__file__).parent.parent
CRATES = ROOT / "tests" / "crates"
EXAMPLES = ROOT / "examples"
# Of a Cargo that has ended: cc and make would wait for its tokens.
_JOBSERVER = (b"CARGO_MAKEFLAGS", b"MAKEFLAGS", b"MFLAGS", b"MAKELEVEL")


@dataclass(frozen=True, slots=True)
class Script:
    """A build script with all that Cargo gave it."""

    crate: str
    stub: bytes  # What Cargo runs under buildperm.
    program: bytes  # What it would run without.
    folder: bytes  # Working directory.
    environment: dict[bytes, bytes]

    def run(self, command: list[bytes], out_dir: Path) -> bytes:
        """Run `command` in the script's place with a new OUT_DIR; return what it printed."""
        shutil.rmtree(out_dir.parent, ignore_errors=True)
        out_dir.mkdir(parents=True)
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | {b"OUT_DIR": os.fsencode(out_dir)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        return ended.stdout


@contextmanager
def workspace(source: Path) -> Iterator[Path]:
    """Copy a workspace to where it can be built and changed."""
    with tempfile.TemporaryDirectory(prefix="buildperm-benchmark-") as folder:
        copy = Path(folder) / source.name
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("target"))
        yield copy


def scripts(folder: Path, crates: Sequence[str]) -> tuple[Path, dict[str, Script]]:
    """Build `crates` of the workspace in `folder` under the learning profile.

    Returns:
        A folder for further runs, and its build scripts by the name of the crate.
    """
    environment = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
    rust = toolchain.resolve(folder, environment)
    described = metadata.read(rust, folder, environment)
    where = described.manifest
    directory = target_directory.open_target(described, "learn")
    written = session_maker.make(
        described,
        lock.read(folder / "Cargo.lock"),
        manifest.read(where.read_bytes(), where),
        rust,
        directory,
        environment,
        profile="learning",
    )
    path = directory.write(written)
    finished = CargoProcess(
        [str(rust.cargo), "check", "--quiet", *(f"--package={crate}" for crate in crates)],
        folder,
        directory.environment(rust, environment, rustc_wrapper=""),
        directory.progress,
    ).run()
    if finished.exit_code != 0:
        raise SystemExit(f"the workspace does not build: exit code {finished.exit_code}")
    found = {}
    for unit in units.recorded(directory.folder, written):
        kept = marshal.loads((unit.folder / "buildperm" / "context").read_bytes())
        given = {name: value for name, value in kept["env"].items() if name not in _JOBSERVER}
        found[written["packages"][unit.package]["name"]] = Script(
            crate=written["packages"][unit.package]["name"],
            stub=kept["argv"][0],
            program=kept["program"],
            folder=kept["cwd"],
            environment=given | {b"BUILDPERM_SESSION": os.fsencode(path)},
        )
    return directory.folder / "benchmark", found


def as_enforced(script: Script, runtime: str, *, light: bool = True) -> Script:
    """Return `script` as `buildperm ci` would run it, in the given runtime."""
    prepared = runtimes.runtime(runtime).prepare()

    def change(session: Session) -> None:
        session["profile"] = "enforcing"
        session_maker.set_runtime(session, prepared, "light" if light else "full")

    return _with(script, f"{runtime}-{'light' if light else 'full'}", change)


def filling(script: Script, store: Path) -> Script:
    """Return `script` as it runs where its result is kept, in the given folder."""
    kept: SessionCache = {"folder": os.fsencode(store), "machine": "this one", "by": "a benchmark"}
    return _with(script, store.name, lambda session: session.update({"cache": kept}))


def without_inner_loop(script: Script) -> Script:
    """Return `script` as it runs where there is no C compiler."""
    return _with(script, "python", lambda session: session.update({"inner_loop": b""}))


def _with(script: Script, name: str, change: Callable[[Session], None]) -> Script:
    """Return `script` with a changed session."""
    learnt = os.fsdecode(script.environment[b"BUILDPERM_SESSION"])
    loaded = sessions.load(os.fsencode(learnt))
    change(loaded)
    path = Path(f"{learnt}-{name}")
    path.write_bytes(sessions.dump(loaded))
    return replace(
        script, environment=script.environment | {b"BUILDPERM_SESSION": os.fsencode(path)}
    )
