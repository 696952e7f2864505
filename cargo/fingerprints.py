"""What makes Cargo take a unit for fresh, apart from runs of build scripts: see `cargo.units`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import units

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMPILED = re.compile(
    r"(test-|doc-)?(?:lib|bin|example|integration-test|bench|build-script)-([^.]+)"
)


def all_in(target: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield package, number and folder of each, of both layouts."""
    for build in units.build_folders(target):
        for entry in units.entries(build.parent / ".fingerprint"):
            package, _, number = entry.name.rpartition("-")
            yield package, number, Path(entry.path)
        for package_folder in units.entries(build):
            for unit in units.entries(Path(package_folder.path)):
                fresh = Path(unit.path) / "fingerprint"
                if fresh.is_dir():
                    yield package_folder.name, unit.name, fresh


def compiled(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what a compiler was called for: `doc-` or the like, and the crate's name to rustc."""
    for entry in units.entries(folder):
        found = _COMPILED.fullmatch(entry.name)
        if found:
            yield found[1] or "", found[2].replace("-", "_")
