"""The sources of build script and macros in two versions: what a person reads beside the rest.

They are for orientation only: they decide nothing. They come from where Cargo keeps what it has
downloaded; nothing is fetched, and nothing is unpacked.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import posixpath
import re
import stat
import tarfile
import tomllib
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from buildperm.policy.comparison import SourceChange
from buildperm.tracer.notation import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from buildperm.cargo.metadata import Package
    from buildperm.policy.snapshot import Snapshot

_FILES_MOST = 200
_FILE_MOST = 1 << 20  # Bytes; a longer source counts as not there.
_LOOKUPS_MOST = 2_000  # Names that sources mention, for each version.
_ARCHIVE_MOST = 64 << 20  # Bytes, unpacked.
_MEMBERS_MOST = 10_000
_SHORT_COMMIT = 7  # Digits in the name of a checkout of Cargo's.

_MODULE = re.compile(
    rb'^[ \t]*(?:#\[path\s*=\s*"([^"\n]+)"\]\s*)?(?:pub(?:\([^)\n]*\))?\s+)?mod\s+(\w+)\s*;',
    re.MULTILINE,
)
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_INCLUDE = re.compile(rb'\binclude(?:_str|_bytes)?!\s*[(\[{]\s*"([^"\n]+)"')

Compared = tuple[tuple[SourceChange, ...], str]
"""The files that differ, and why none could be compared; empty if they could."""


class PackageSources(Protocol):
    """The files of one package in one version."""

    def read(self, name: str) -> bytes | None:
        """Return what is in a file, by its path in the package; None if there is no such file."""


def compare(known: Snapshot | None, package: Package, files: Iterable[Path] = ()) -> Compared:
    """Compare the build script and the macros of `package` with those that were reviewed last.

    Args:
        known: What was reviewed last; None for a new build script, whose files are all new.
        package: As it is now.
        files: What its build script was compiled from, as far as rustc has told.
    """
    now = _Folder(package.folder)
    sources = [*package.script_sources, *filter(None, (package.macro_source,))]
    main = [_inside(path, package.folder) for path in sources]
    told = [_inside(path, package.folder) for path in files]
    names = dict.fromkeys([*_closure(now, main), *filter(None, told)])
    if known is None:
        return tuple(_changes(None, now, names)), ""
    if not package.source:
        return (), "local crate: compare with `git diff`"
    before = _before(known, package)
    if before is None:
        return (), f"those of {known.version} are not on this machine any more"
    old = _closure(before, _main_files(before))
    return tuple(_changes(before, now, dict.fromkeys([*names, *old]))), ""


def _changes(
    before: PackageSources | None, now: PackageSources, names: Iterable[str]
) -> Iterator[SourceChange]:
    for name in names:
        old = before.read(name) if before is not None else None
        new = now.read(name)
        if old != new:
            yield SourceChange(encode(os.fsencode(name)), old, new)


def _before(known: Snapshot, package: Package) -> PackageSources | None:
    """Find the files of the version that was reviewed last."""
    if package.source.startswith("git+"):
        return _checkout(known, package)
    name = f"{package.name}-{known.version}"
    if posixpath.basename(name) != name or "\0" in name:
        return None  # Whatever it leads to is no package of Cargo's.
    folder = package.folder.with_name(name)
    # What was unpacked to the end has this file: Cargo's `registry/src`.
    if known.version != package.version and (folder / ".cargo-ok").exists():
        return _Folder(folder)
    cache = package.folder.parents[2] / "cache" if len(package.folder.parents) > 2 else None
    if cache is None or cache.parent.name != "registry":
        return None  # Vendored: there is no other version.
    return _archive(cache / package.folder.parent.name / f"{name}.crate", known.inputs.checksum)


def _checkout(known: Snapshot, package: Package) -> PackageSources | None:
    """Find a checkout of another commit: `git/checkouts/NAME-HASH/COMMIT`."""
    commit = known.source.rpartition("#")[2]
    parts = package.folder.parts
    if not _COMMIT.fullmatch(commit) or "checkouts" not in parts:
        return None
    at = len(parts) - 1 - parts[::-1].index("checkouts")
    if len(parts) < at + 3:
        return None
    folder = Path(*parts[: at + 2], commit[:_SHORT_COMMIT], *parts[at + 3 :])
    return _Folder(folder) if (folder / "Cargo.toml").is_file() else None


def _archive(path: Path, checksum: str) -> PackageSources | None:
    """Read a package file, if it is the one that was reviewed."""
    try:
        packed = path.read_bytes()
        if not checksum or hashlib.sha256(packed).hexdigest() != checksum:
            return None
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            unpacked = file.read(_ARCHIVE_MOST + 1)
        if len(unpacked) > _ARCHIVE_MOST:
            return None
        return _Archive(unpacked, path.name.removesuffix(".crate"))
    except Exception:  # tarfile answers odd headers with whatever goes wrong first.
        return None


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._true = os.path.realpath(folder)

    def read(self, name: str) -> bytes | None:
        path = self._folder / name
        try:
            # A link would show what is not part of the package.
            if not Path(os.path.realpath(path)).is_relative_to(self._true):
                return None
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError):
            return None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _FILE_MOST:
                return None
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(_FILE_MOST)
        finally:
            os.close(descriptor)


class _Archive:
    """The files of a package file; all of its headers are read at once, so that errors are, too."""

    def __init__(self, unpacked: bytes, top: str) -> None:
        self._unpacked = unpacked
        self._files: dict[str, tuple[int, int]] = {}  # Start and size, by path in the package.
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            for number, entry in enumerate(archive):
                if number >= _MEMBERS_MOST:
                    raise tarfile.TarError("more files than a package has")
                name = entry.name.removeprefix(f"{top}/")
                self._files.pop(name, None)
                # The type of a sparse file counts as regular, but what is there are pieces of it.
                if name != entry.name and entry.isreg() and not entry.issparse():
                    self._files[name] = entry.offset_data, entry.size

    def read(self, name: str) -> bytes | None:
        start, size = self._files.get(name, (0, -1))
        if not 0 <= size <= _FILE_MOST or start + size > len(self._unpacked):
            return None
        return self._unpacked[start : start + size]


def _main_files(sources: PackageSources) -> list[str]:
    """Return the main files of a package's build scripts and macros, as its Cargo.toml has them."""
    try:
        described = tomllib.loads((sources.read("Cargo.toml") or b"").decode())
    except ValueError:
        return ["build.rs"]
    package = described.get("package")
    build = package.get("build", "build.rs") if isinstance(package, dict) else "build.rs"
    named = build if isinstance(build, list) else [build]
    library = described.get("lib")
    if isinstance(library, dict) and (library.get("proc-macro") or library.get("proc_macro")):
        named = [*named, library.get("path", "src/lib.rs")]
    return [posixpath.normpath(name) for name in named if isinstance(name, str)]


def _closure(sources: PackageSources, main: Sequence[str]) -> list[str]:
    """Follow `mod` and `include!` as far as they can be read without compiling."""
    reached: list[str] = []
    known: set[str] = set()  # Found or not.
    mentioned = 0
    waiting = [(name, True) for name in reversed(main) if name]
    while waiting and len(reached) < _FILES_MOST:
        name, is_root = waiting.pop()
        content = sources.read(name) if name not in known else None
        known.add(name)
        if content is None:
            continue
        reached.append(name)
        left = _LOOKUPS_MOST - mentioned
        found = list(islice(_mentions(name, content, is_root=is_root), left))
        mentioned += len(found)
        waiting += (each for each in found if not each[0].startswith(("/", "../")))
    return reached


def _mentions(name: str, content: bytes, *, is_root: bool) -> Iterator[tuple[str, bool]]:
    """Yield the paths that a file may mean, and whether their own modules lie beside them."""
    folder, file = posixpath.split(name)
    for match in _INCLUDE.finditer(content):
        yield _path(folder, match[1]), True
    below = folder if is_root or file == "mod.rs" else name.removesuffix(".rs")
    for match in _MODULE.finditer(content):
        if match[1]:
            yield _path(folder, match[1]), True
        else:
            yield _path(below, match[2] + b".rs"), False
            yield _path(below, match[2] + b"/mod.rs"), False


def _path(folder: str, name: bytes) -> str:
    return posixpath.normpath(posixpath.join(folder, os.fsdecode(name)))


def _inside(path: Path, folder: Path) -> str:
    """Return a file's path in its package; empty if it lies elsewhere."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else ""
