"""Searches the sources of a crate for the line that asks for an access: best effort."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from buildperm.cargo.metadata import Metadata, Package
from buildperm.policy.proposal import Proposal
from buildperm.presentation.proposal_evidence import SourceLine
from buildperm.presentation.source_clues import Clue, FoundLine, clues, search
from buildperm.tracer.notation import encode

_MOST_LINES = 8
_MOST_FILES = 400
_MOST_BYTES = 1 << 20
"""Of one file; what is longer was made by a program."""

_MOST_S = 0.5
_GOOD = 10
"""A score from which on nobody looks at the build dependencies as well."""

_LEAST = 6


@dataclass(frozen=True, slots=True)
class SourceTree:
    """The sources of one package, as far as they run in a build."""

    title: str  # Name and version.
    folder: Path
    files: tuple[Path, ...] = ()  # Those that it is compiled from, the main ones first.
    modules: Path | None = None  # Where there may be more of them; None if these are all.

    def listed(self) -> Iterator[Path]:
        """Yield the files; where nobody knows which, every Rust file of the package."""
        yield from self.files
        if self.modules is not None:
            yield from (each for each in _rust_files(self.modules) if each not in self.files)
        elif not self.files:
            yield from _rust_files(self.folder)


@dataclass(frozen=True, slots=True)
class CrateSources:
    """Where the code of a crate that runs in a build lies."""

    own: SourceTree
    libraries: tuple[SourceTree, ...] = ()  # Its direct build dependencies.


def asking_lines(proposal: Proposal, sources: CrateSources) -> tuple[tuple[SourceLine, ...], str]:
    """Return the lines that look as if they asked for it, likeliest first, and what was done.

    Nothing is executed. Takes half a second at most.
    """
    wanted = clues(proposal)
    if not wanted:
        return (), ""
    until_s = time.monotonic() + _MOST_S
    found = list(_search(sources.own, wanted, until_s))
    looked = sources.own.title
    if sources.libraries and max((line.score for _, _, line in found), default=0) < _GOOD:
        for library in sources.libraries:
            found += _search(library, wanted, until_s)
        looked += f" and {_libraries(len(sources.libraries))} that it uses for building"
    best = max((line.score for _, _, line in found), default=0)
    # What the crate itself says comes before what a library does for it.
    own = max((line.score for tree, _, line in found if tree is sources.own), default=0)
    least = {True: max(_LEAST, own // 2), False: max(_LEAST, best // 2)}
    kept = [each for each in found if each[2].score >= least[each[0] is sources.own]]
    kept.sort(key=lambda each: (each[0] is not sources.own, -each[2].score))
    lines = tuple(
        SourceLine(
            tree.title,
            encode(os.fsencode(_relative(path, tree.folder))),
            path,
            line.number,
            line.text,
            line.clue,
        )
        for tree, path, line in kept[:_MOST_LINES]
    )
    named = ", ".join(f"`{clue.text}`" for clue in wanted[:3])
    more = f" and {len(wanted) - 3} more" if len(wanted) > 3 else ""
    return lines, f"searched {looked} for {named}{more}."


def sources_of(
    metadata: Metadata, folder: bytes, files: Mapping[Path, tuple[Path, ...]]
) -> CrateSources:
    """Return where the code of the package with this manifest directory lies.

    `files` are those that each build script was compiled from, by the folder of its package.
    """
    package = metadata.by_folder.get(folder)
    if package is None:
        return CrateSources(SourceTree(encode(folder), Path(os.fsdecode(folder))))
    below = (metadata.packages[each] for each in metadata.dependencies.get(package.id, ()))
    wanted = package.build_dependencies | package.macro_dependencies
    libraries = sorted(
        (each for each in below if each.name in wanted), key=lambda each: (each.name, each.version)
    )
    listed = files.get(package.folder, ())
    own = (*package.script_sources, *listed)
    if package.macro_source is not None:
        own = ()  # Its macros are the rest of it.
    modules = None if listed or not own else _modules(package.folder, own[0])
    return CrateSources(
        SourceTree(_title(package), package.folder, tuple(dict.fromkeys(own)), modules),
        tuple(SourceTree(_title(each), each.folder) for each in libraries),
    )


def _modules(folder: Path, main: Path) -> Path:
    """Return where the other files of a build script lie, if rustc has not listed them."""
    return folder / "build" if main.parent == folder else main.parent


def _libraries(number: int) -> str:
    return "1 library" if number == 1 else f"{number} libraries"


def _title(package: Package) -> str:
    return f"{package.name} {package.version}"


def _search(
    tree: SourceTree, wanted: Iterable[Clue], until_s: float
) -> Iterator[tuple[SourceTree, Path, FoundLine]]:
    for number, path in enumerate(tree.listed()):
        if number >= _MOST_FILES or time.monotonic() > until_s:
            return
        text = _text(path)
        is_main = bool(tree.files) and path.name == "build.rs"
        for line in search(text, wanted, is_main=is_main)[:_MOST_LINES]:
            yield tree, path, line


def _text(path: Path) -> str:
    """Read a source file; what is no file, too long or unreadable is empty."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return ""
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _rust_files(folder: Path) -> Iterator[Path]:
    for upper, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name not in ("target", "tests", "benches", "examples", ".git")
        )
        yield from (Path(upper, name) for name in sorted(files) if name.endswith(".rs"))


def _relative(path: Path, folder: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else path
