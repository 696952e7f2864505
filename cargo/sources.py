"""The sources of a build script in two versions: what a person reads beside what it did.

For orientation only: nothing is decided by them. They come from where Cargo keeps what it has
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
import zlib
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
_ARCHIVE_MOST = 256 << 20  # Bytes, unpacked.
_SHORT_COMMIT = 7  # Digits in the name of a checkout of Cargo's.

_MODULE = re.compile(
    rb'^[ \t]*(?:#\[path\s*=\s*"([^"\n]+)"\]\s*)?(?:pub(?:\([^)\n]*\))?\s+)?mod\s+(\w+)\s*;',
    re.MULTILINE,
)
_INCLUDE = re.compile(rb'\binclude(?:_str|_bytes)?!\s*[(\[{]\s*"([^"\n]+)"')

Compared = tuple[tuple[SourceChange, ...], str]
"""The files that differ, and why none could be compared; empty if they could."""


class Sources(Protocol):
    """The files of one package in one version."""

    def read(self, name: str) -> bytes | None:
        """Return what is in a file, by its path in the package; None if there is no such file."""


def compare(known: Snapshot | None, package: Package, files: Iterable[Path] = ()) -> Compared:
    """Compare the build script of `package` with the one that was reviewed last.

    Args:
        known: What was reviewed last; None for a new build script, whose files are all new.
        package: As it is now.
        files: What its build script was compiled from, as far as rustc has told.
    """
    now = _Folder(package.folder)
    main = [_inside(path, package.folder) for path in package.script_sources]
    told = [_inside(path, package.folder) for path in files]
    names = dict.fromkeys([*_closure(now, main), *filter(None, told)])
    if known is None:
        return tuple(_changes(None, now, names)), ""
    if not package.source:
        return (), "a folder keeps no older sources: `git diff` may show them"
    before = _before(known, package)
    if before is None:
        return (), f"those of {known.version} are not on this machine any more"
    old = _closure(before, _scripts(before))
    return tuple(_changes(before, now, dict.fromkeys([*names, *old]))), ""


def _changes(before: Sources | None, now: Sources, names: Iterable[str]) -> Iterator[SourceChange]:
    for name in names:
        old = before.read(name) if before is not None else None
        new = now.read(name)
        if old != new:
            yield SourceChange(encode(os.fsencode(name)), old, new)


def _before(known: Snapshot, package: Package) -> Sources | None:
    """Find the files of the version that was reviewed last."""
    if package.source.startswith("git+"):
        return _checkout(known, package)
    folder = package.folder.with_name(f"{package.name}-{known.version}")
    # What was unpacked to the end has this file: Cargo's `registry/src`.
    if known.version != package.version and (folder / ".cargo-ok").exists():
        return _Folder(folder)
    cache = package.folder.parents[2] / "cache" if len(package.folder.parents) > 2 else None
    if cache is None or cache.parent.name != "registry":
        return None  # Vendored: there is no other version.
    name = f"{package.name}-{known.version}.crate"
    return _archive(cache / package.folder.parent.name / name, known.inputs.checksum)


def _checkout(known: Snapshot, package: Package) -> Sources | None:
    """Find a checkout of another commit: `git/checkouts/NAME-HASH/COMMIT`."""
    commit = known.source.rpartition("#")[2][:_SHORT_COMMIT]
    parts = package.folder.parts
    if not commit or "checkouts" not in parts:
        return None
    at = len(parts) - 1 - parts[::-1].index("checkouts")
    if len(parts) < at + 3:
        return None
    folder = Path(*parts[: at + 2], commit, *parts[at + 3 :])
    return _Folder(folder) if (folder / "Cargo.toml").is_file() else None


def _archive(path: Path, checksum: str) -> Sources | None:
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
    except (OSError, EOFError, zlib.error, tarfile.TarError):
        return None


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        path = self._folder / name
        try:
            # A link would show what is not part of the package.
            if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self._folder)):
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
    def __init__(self, unpacked: bytes, top: str) -> None:
        self._file = tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:")  # noqa: SIM115
        self._top = top

    def read(self, name: str) -> bytes | None:
        try:
            entry = self._file.getmember(f"{self._top}/{name}")
        except KeyError:
            return None
        file = self._file.extractfile(entry) if entry.isreg() else None
        return file.read() if file is not None and entry.size <= _FILE_MOST else None


def _scripts(sources: Sources) -> list[str]:
    """Return the main files of a package's build scripts, as its Cargo.toml has them."""
    try:
        described = tomllib.loads((sources.read("Cargo.toml") or b"").decode())
    except ValueError:
        return ["build.rs"]
    package = described.get("package")
    build = package.get("build", "build.rs") if isinstance(package, dict) else "build.rs"
    named = build if isinstance(build, list) else [build]
    return [posixpath.normpath(name) for name in named if isinstance(name, str)]


def _closure(sources: Sources, main: Sequence[str]) -> list[str]:
    """Follow `mod` and `include!` as far as they can be read without compiling."""
    reached: dict[str, None] = {}
    waiting = [(name, True) for name in reversed(main) if name]
    while waiting and len(reached) < _FILES_MOST:
        name, is_root = waiting.pop()
        content = sources.read(name) if name not in reached else None
        if content is None:
            continue
        reached[name] = None
        folder, file = posixpath.split(name)
        for match in _INCLUDE.finditer(content):
            _push(waiting, folder, match[1], is_root=True)
        below = folder if is_root or file == "mod.rs" else name.removesuffix(".rs")
        for match in _MODULE.finditer(content):
            if match[1]:
                _push(waiting, folder, match[1], is_root=True)
            else:
                _push(waiting, below, match[2] + b".rs", is_root=False)
                _push(waiting, below, match[2] + b"/mod.rs", is_root=False)
    return list(reached)


def _push(waiting: list[tuple[str, bool]], folder: str, name: bytes, *, is_root: bool) -> None:
    path = posixpath.normpath(posixpath.join(folder, os.fsdecode(name)))
    if not path.startswith(("/", "../")) and path != "..":
        waiting.append((path, is_root))


def _inside(path: Path, folder: Path) -> str:
    """Return a file's path in its package; empty if it lies elsewhere."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else ""
