"""A workspace whose build script wants a variable that nobody has granted yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.command import buildperm
from tests.registry import Registry

SCRIPT = """
fn main() {
    println!("cargo::rerun-if-env-changed=AGAIN");
    let found = std::env::var("RELEASE_CHANNEL").is_ok();
    let noted = std::env::var("OUT_DIR").unwrap() + "/noted";
    std::fs::write(noted, found.to_string()).unwrap();
}
"""
CHANNEL = {"RELEASE_CHANNEL": "beta"}


@dataclass(frozen=True, slots=True)
class ImportingWorkspace:
    """A workspace that grants nothing itself, and a script that wants a variable."""

    registry: Registry
    root: Path

    def run(self, *words: str, extra: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        told = {**self.registry.environment, **CHANNEL, **(extra or {})}
        done = buildperm(*words, folder=self.root, extra=told)
        return done.returncode, done.stdout, done.stderr


def importing(folder: Path) -> ImportingWorkspace:
    """Make one below an empty folder."""
    registry = Registry(folder / "registry")
    registry.publish("channel", "1.0.0", {"build.rs": SCRIPT})
    root = registry.application(folder / "ws", dependencies={"channel": "1"})
    return ImportingWorkspace(registry, root)
