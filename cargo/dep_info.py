"""Which files each build script was compiled from, as rustc has listed them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import units

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from buildperm.cargo.metadata import Metadata, Package


def dep_files(target_folder: Path, metadata: Metadata) -> dict[Path, tuple[Path, ...]]:
    """Find which files each build script was compiled from, by manifest directory.

    rustc lists them in `NAME.d` beside each program in the target directory.
    """
    packages: dict[Path, list[Package]] = {}
    for package in metadata.scripted():
        for source in package.script_sources:
            packages.setdefault(source, []).append(package)
    true: dict[Path, Path] = {source: _resolved(source) for source in packages}
    by_truth: dict[Path, list[Package]] = {}
    for source, its in packages.items():
        by_truth.setdefault(true[source], []).extend(its)
    found: dict[Path, dict[Path, None]] = {}
    for program in units.programs(target_folder):
        told = listed(program.with_name(f"{program.name}.d"), metadata.root)
        # An older program may have been compiled from what is not there any more.
        present = [path for path in told if os.path.lexists(path)]
        for path in present:
            if path not in true:
                true[path] = _resolved(path)
            for package in by_truth.get(true[path], ()):
                found.setdefault(package.folder, {}).update(dict.fromkeys(present))
    return {folder: tuple(sorted(files)) for folder, files in found.items()}


def listed(path: Path, root: Path) -> list[Path]:
    """Read the dependencies out of a dep-info file of rustc's; none where there is no such file.

    Each file has a line of its own, behind the rules for all of them: where they stand side by
    side, a name that ends with a backslash could not be told from the next. rustc escapes spaces
    and nothing else.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return []
    names = [line[:-1] for line in lines if line.endswith(b":") and not line.startswith(b"#")]
    return [_found(os.fsdecode(name.replace(b"\\ ", b" ")), root) for name in names]


def beside(crate: str, files: Iterable[str]) -> Iterator[Path]:
    """Yield the dep-info files that rustc has written with the outputs of a crate.

    Where Cargo tells another name than rustc has chosen, the newest one that fits will do. What is
    in the folder of a profile at last was compiled in `deps`; build scripts have folders of their
    own.
    """
    for path in map(Path, files):
        folder = path.parent
        if folder.name not in ("deps", "examples", "out") and folder.parent.name != "build":
            folder /= "deps"
        own = folder / f"{path.stem.removeprefix('lib')}.d"
        told = [own] if own.is_file() else folder.glob(f"{crate}-*.d")
        yield from sorted(told, key=lambda each: each.stat().st_mtime_ns)[-1:]


def variables(path: Path) -> list[bytes]:
    """Read which variables a crate has asked for, and got; none where there is no such file.

    rustc lists them behind the files, those that are not set without a `=`.
    """
    mark = b"# env-dep:"
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return []
    told = (line.removeprefix(mark) for line in lines if line.startswith(mark) and b"=" in line)
    return sorted({each.partition(b"=")[0] for each in told})


def _found(name: str, root: Path) -> Path:
    """Make a name absolute: rustc runs in the root of the workspace for what belongs to it."""
    path = root / name
    if ".." in path.parts or not path.is_relative_to(root):
        return _resolved(path)
    return path


def _resolved(path: Path) -> Path:
    """Resolve the links on the way to a file, but not the file."""
    folder, name = os.path.split(path)
    return Path(os.path.realpath(folder), name)
