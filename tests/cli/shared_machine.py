"""Machines that share results, as a command sees them: caches, keys and names of their own."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from tests.command import buildperm, member

BODY = """
    let out = std::env::var("OUT_DIR").unwrap();
    let data = std::fs::read_to_string("data").unwrap();
    let keys: Vec<_> = std::env::vars().filter(|(name, _)| name.contains("CACHE_KEY")).collect();
    std::fs::write(format!("{out}/made"), format!("{data}{}", keys.len())).unwrap();
"""


class Machine:
    """A checkout at one place, with a cache of its own and perhaps a key."""

    def __init__(
        self,
        top: Path,
        name: str,
        workspace: Path,
        key: Path | None = None,
        launcher: Sequence[str] = (),
    ) -> None:
        self.workspace = workspace
        self.launcher = launcher
        self.cache = top / name
        self.cache.mkdir()
        self.extra = {"XDG_CACHE_HOME": str(self.cache)}
        if key is not None:
            self.extra["BUILDPERM_CACHE_KEY_FILE"] = str(key)

    def run(self, *words: str, code: int = 0) -> str:
        ended = buildperm(*words, folder=self.workspace, extra=self.extra, launcher=self.launcher)
        said = ended.stdout + ended.stderr
        assert ended.returncode == code, said
        assert "Traceback" not in said
        return said

    def ci(self) -> str:
        shutil.rmtree(self.workspace / "target", ignore_errors=True)
        self.said = self.run("ci")
        (path,) = self.workspace.glob("target/buildperm/ci/**/result.json")
        told: dict[str, object] = json.loads(path.read_bytes())
        self.why = str(told["why"])
        return str(told["outcome"])

    def made(self) -> str:
        (path,) = self.workspace.glob("target/buildperm/ci/debug/build/*/out/made")
        return path.read_text()


def wait() -> None:
    """Wait until the clock says something else."""
    began = time.monotonic()
    while time.monotonic() - began < 1.2:
        time.sleep(0.1)


def workspace_at(place: Path, store: str, public: str) -> Path:
    workspace = member(place, f"fn main() {{\n{BODY}\n}}\n")
    manifest = workspace / "Cargo.toml"
    (workspace / "sample/data").write_text("data")
    table = f'cache = {{ store = "{store}", keys = ["{public}"] }}'
    text = f"\n[workspace.metadata.buildperm]\nversion = 1\n{table}\n"
    manifest.write_text(manifest.read_text() + text)
    return workspace


def make_key(folder: Path, name: str) -> str:
    return buildperm("cache", "keygen", name, folder=folder).stdout.strip()


def namespace(name: str) -> list[str]:
    """Return what runs a command as another machine: its own name, processes and mounts."""
    own = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
    own += [] if os.geteuid() == 0 else ["--map-root-user"]
    return [*own, "sh", "-ec", f'hostname {name} && exec "$@"', "sh"]
