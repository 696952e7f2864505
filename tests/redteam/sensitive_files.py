"""Files of a user, links to them, and a build script that tries to read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tests.programs import program_text

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench import Bench


def planted(path: Path, text: str = "planted") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def linked(path: Path, target: Path | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def was_read(
    bench: Bench, *paths: Path, profile: Literal["learning", "enforcing"] = "learning"
) -> list[Path]:
    """Let a build script try all of `paths`; return those that it could read."""
    placed = bench.script(program_text("reads_paths.py", PATHS=repr([str(path) for path in paths])))
    said = bench.run(placed, profile).stderr.decode().splitlines()
    told = {line.partition(" ")[2]: line.startswith("read ") for line in said}
    return [path for path in paths if told[str(path)]]
