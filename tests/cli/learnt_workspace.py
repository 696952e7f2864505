"""A workspace that was learnt once, for the commands that only look: made once for all of them.

`app` reads below `schema/` and runs perl; `helper` is there three times, twice from the registry in
two versions that run the C compiler, once from a folder of the workspace; `library` has no build
script.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from buildperm.cargo import claim
from tests.command import LEARN, buildperm, is_orderly
from tests.programs import program_text
from tests.registry import Registry

HOSTILE = "ev\x1b[2J\u202eil"
"""Part of a file's name, and an argument."""

_APP = program_text("reads_and_runs.rs")
_HELPER = r"""
fn main() {
    let _ = std::process::Command::new("cc").arg("--version").output();
}
"""


@dataclass(frozen=True, slots=True)
class LearntWorkspace:
    """A workspace with what it takes to run commands in it."""

    folder: Path
    registry: Registry

    def run(
        self, *words: str, extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; whatever it says is fit for a terminal."""
        told = buildperm(
            *words, folder=self.folder, extra=self.registry.environment | dict(extra or {})
        )
        assert is_orderly(told.stdout), told.stdout
        assert is_orderly(told.stderr), told.stderr
        return told

    def document(self, *words: str) -> Any:  # noqa: ANN401 - JSON
        """Run a command and read what it says as JSON."""
        return json.loads(self.run(*words, "--format", "json").stdout)

    @property
    def manifest(self) -> Path:
        return self.folder / "Cargo.toml"

    @contextlib.contextmanager
    def granting(self, **crates: str) -> Iterator[None]:
        """Replace the grants in Cargo.toml for a while, by these lines for each crate."""
        before = self.manifest.read_bytes()
        text = before.decode().partition("[workspace.metadata")[0]
        text += "[workspace.metadata.buildperm]\nversion = 1\n"
        for crate, lines in crates.items():
            text += f'\n[workspace.metadata.buildperm.crates."{crate}"]\n{lines}\n'
        self.manifest.write_text(text)
        try:
            yield
        finally:
            self.manifest.write_bytes(before)

    def copy(self, to: Path, *, without: tuple[str, ...] = ()) -> LearntWorkspace:
        """Copy the workspace with its dates and recordings, except for what is left out."""
        shutil.copytree(self.folder, to, symlinks=True, ignore=shutil.ignore_patterns(*without))
        if "target" not in without:
            claim.mark(to / "target/buildperm")  # As if it had been made there.
        return LearntWorkspace(to, self.registry)

    def recordings(self, package: str, version: str) -> list[Path]:
        """Return the recordings of a package."""
        target = self.folder / "target/buildperm/learn"
        found = sorted(target.glob(f"**/build/{package}-*/**/recording.jsonl"))
        return [path for path in found if f'"crate_version":"{version}"' in path.read_text()]


@pytest.fixture(scope="session")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> LearntWorkspace:
    """Make the workspace and learn it. Whoever changes something in it changes it back."""
    folder = tmp_path_factory.mktemp("learnt")
    registry = Registry(folder / "registry")
    for version in ("1.0.0", "2.0.0"):
        registry.publish("helper", version, {"build.rs": _HELPER})
    registry.publish("library", "0.3.0", dependencies={"helper": "2"})
    workspace = folder / "ws"
    own = workspace / "vendored"
    (own / "src").mkdir(parents=True)
    (own / "src/lib.rs").write_text("")
    (own / "build.rs").write_text("fn main() {}")
    (own / "Cargo.toml").write_text(
        '[package]\nname = "helper"\nversion = "0.5.0"\nedition = "2021"\n'
    )
    registry.application(
        workspace,
        dependencies={
            "helper": "1",
            "library": "0.3",
            "own": '{ path = "../vendored", package = "helper" }',
        },
    )
    (workspace / "app/build.rs").write_text(_APP)
    (workspace / "schema/deep").mkdir(parents=True)
    for file in ("a.txt", "deep/b.txt", HOSTILE):
        (workspace / "schema" / file).write_text("x")
    (workspace / "other.txt").write_text("x")
    learnt = LearntWorkspace(workspace, registry)
    told = learnt.run(*LEARN, extra={"RELEASE_CHANNEL": "beta"})
    assert told.returncode == 3, told.stderr
    return learnt
