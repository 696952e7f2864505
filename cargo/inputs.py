"""What build scripts and macros are made from: files, packages, and whatever those depend on.

Only Cargo.toml, Cargo.lock and the files decide, never the platform, the features or the command,
so that everybody sees the same for the same commit.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import package_folder
from buildperm.errors import BuildpermError
from buildperm.policy import manifest
from buildperm.policy.snapshot import Inputs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from buildperm.cargo.lock import CargoLock, PackageIdentity
    from buildperm.cargo.metadata import Metadata, Package

ABSENT = hashlib.sha256(b"buildperm: no such file").hexdigest()
"""What stands for the content of a file that is not there."""

_FILES_MOST = 5_000  # Of one package that build scripts depend on; of more only names count.
_BYTES_MOST = 64 << 20
_MACRO_FILES_MOST = 200  # Of one package; the digest covers the others as well.
_NOT_ITS_OWN = ("Cargo.toml", "CACHEDIR.TAG")  # Marks of other packages and of what was built.


class InputCollector:
    """What scripts and macros of one workspace are made from; looks at everything once."""

    def __init__(self, metadata: Metadata, lock: CargoLock, places: Mapping[str, bytes]) -> None:
        """Prepare to ask about many packages; `places` are the folders behind portable paths."""
        self._metadata = metadata
        self._lock = lock
        # That of one build is not known to others.
        self._places = {name: place for name, place in places.items() if name != "TARGET_DIR"}
        self._ordered = sorted(lock.packages)
        self._numbers = {one: number for number, one in enumerate(self._ordered)}
        self._requirements: dict[int, frozenset[int]] = {}
        self._identities = {(one.name, one.version, one.source): one for one in lock.packages}
        self._packages = {
            (one.name, one.version, one.source): one for one in metadata.packages.values()
        }
        # Cargo tells nothing of what takes no part here: optional, or for another platform.
        self._folders = _neighbours(metadata)
        self._described: dict[PackageIdentity, list[str]] = {}
        self._closures: dict[tuple[PackageIdentity, ...], list[list[str]]] = {}
        self._hashes: dict[Path, str] = {}

    def inputs(self, package: Package, files: Iterable[Path] = ()) -> Inputs:
        """Return what build script and macros of `package` are made from.

        Args:
            package: It has a build script, or macros, or both.
            files: What it was compiled from, as far as it is known; its main files always count.

        Raises:
            BuildpermError: The package is from a registry, and Cargo.lock has no checksum for it.
        """
        checksum = self._lock.checksum(package.name, package.version, package.source)
        hashes: dict[str, str] = {}
        if self.is_local(package):
            for path in sorted({*package.script_sources, *self._of_macros(package), *files}):
                hashes[package_folder.portable(os.fsencode(path), self._places)] = self._hash(path)
        direct = self._direct(package, package.build_dependencies)
        content: dict[str, object] = {
            "source": package.source,
            "checksum": checksum,
            "files": hashes,
            "build-dependencies": self._closure(direct),
        }
        if package.source and hashes:
            content["vendored"] = self._vendored(package.folder)
        macros = self._direct(package, package.macro_dependencies)
        if package.macro_source is not None:
            content["macro-dependencies"] = self._closure(macros)
            content["macros"] = "" if package.source else self._tree(package.folder)
        return Inputs(
            checksum=checksum,
            files=hashes,
            build_dependencies=_named(direct),
            digest=_digest(content),
            macro_dependencies=_named(macros),
        )

    def is_local(self, package: Package) -> bool:
        """Tell whether the files of a package are part of what is committed: a folder, or vendored.

        Cargo.lock has a checksum of what was vendored, but nobody holds the files to it: only to
        a list of their own, beside them.
        """
        if not package.source:
            return True
        home = os.fsdecode(self._places.get("CARGO_HOME", b"/nonexistent"))
        folder = package.folder
        return folder.is_relative_to(self._metadata.root) and not folder.is_relative_to(home)

    def local(self, package: Package) -> frozenset[str]:
        """Return the names of the local packages among a package and all that it is built with."""
        reached = [package]
        names = package.build_dependencies | package.macro_dependencies
        for name, version, source, *_ in self._closure(self._direct(package, names)):
            found = self._packages.get((name, version, source))
            reached += [found] if found else []
        return frozenset(each.name for each in reached if self.is_local(each))

    def _vendored(self, folder: Path) -> str:
        """Hash the list that Cargo holds vendored files to, or all of them where there is none."""
        listed = folder / ".cargo-checksum.json"
        return self._hash(listed) if listed.is_file() else self._tree(folder)

    def _of_macros(self, package: Package) -> list[Path]:
        """List the sources that macros are most likely compiled from, the main file first."""
        if package.macro_source is None:
            return []
        beside = _sources(package.macro_source.parent, self._metadata.target_directory)
        listed = (path for path, _ in islice(beside, _MACRO_FILES_MOST))
        return list(dict.fromkeys((package.macro_source, *listed)))

    def _direct(self, package: Package, names: Collection[str]) -> tuple[PackageIdentity, ...]:
        """Return those of a package's dependencies that are called so."""
        identity = self._identities.get((package.name, package.version, package.source))
        required = self._lock.requirements.get(identity, ()) if identity else ()
        return tuple(one for one in required if one.name in names)

    def _closure(self, direct: tuple[PackageIdentity, ...]) -> list[list[str]]:
        """Describe all packages that are compiled for what depends on these."""
        known = self._closures.get(direct)
        if known is None:
            reached = {self._numbers[one] for one in direct}
            waiting = list(reached)
            while waiting:
                new = self._required(waiting.pop()) - reached
                reached |= new
                waiting.extend(new)
            known = [self._describe(self._ordered[number]) for number in sorted(reached)]
            self._closures[direct] = known
        return known

    def _required(self, number: int) -> frozenset[int]:
        """Return what a package needs to be compiled, as numbers: there are many ways to each."""
        known = self._requirements.get(number)
        if known is None:
            identity = self._ordered[number]
            package = self._packages.get((identity.name, identity.version, identity.source))
            tests = package.dev_dependencies if package else frozenset()
            known = self._requirements[number] = frozenset(
                self._numbers[one]
                for one in self._lock.requirements.get(identity, ())
                if one.name not in tests
            )
        return known

    def _describe(self, identity: PackageIdentity) -> list[str]:
        known = self._described.get(identity)
        if known is None:
            content = ""
            package = self._packages.get((identity.name, identity.version, identity.source))
            if not identity.source:
                folder = package.folder if package else self._folders.get(identity.name)
                content = self._tree(folder) if folder else ""
            elif package is not None and self.is_local(package):
                content = self._vendored(package.folder)
            known = [identity.name, identity.version, identity.source, identity.checksum, content]
            self._described[identity] = known
        return known

    def _tree(self, folder: Path) -> str:
        """Hash the manifest and the Rust sources of a package that is a folder."""
        found = {"Cargo.toml": self._manifest(folder / "Cargo.toml")}
        size = 0
        for path, its_size in _sources(folder, self._metadata.target_directory):
            size += its_size
            within = len(found) <= _FILES_MOST and size <= _BYTES_MOST
            name = os.fsdecode(os.path.relpath(path, folder))
            found[name] = self._hash(path) if within else str(its_size)
        return _digest(found)

    def _manifest(self, path: Path) -> str:
        if path != self._metadata.manifest:
            return self._hash(path)
        # The one with the grants in it, which change with every review.
        try:
            raw = path.read_bytes()
        except OSError:
            return ABSENT
        _, document = manifest.parse(raw, path)
        for table in ("workspace", "package"):
            if isinstance(document.get(table), dict):
                document[table].pop("metadata", None)
        return _digest(document)

    def _hash(self, path: Path) -> str:
        known = self._hashes.get(path)
        if known is None:
            known = self._hashes[path] = _sha256(path)
        return known


def _named(packages: Iterable[PackageIdentity]) -> tuple[str, ...]:
    return tuple(sorted({f"{one.name} {one.version}" for one in packages}))


def _neighbours(metadata: Metadata) -> dict[str, Path]:
    """Find the folders that are declared as dependencies anywhere, by name."""
    packages = metadata.packages.values()
    known = {name: path for package in packages for name, path in package.neighbours.items()}
    waiting = list(set(known.values()).difference(package.folder for package in packages))
    while waiting:
        folder = waiting.pop()
        for name, path in _declared(folder):
            if name not in known:
                known[name] = (folder / path).resolve()
                waiting.append(known[name])
    return known


def _declared(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the names and paths of the folders that a manifest declares as dependencies."""
    path = folder / "Cargo.toml"
    try:
        _, document = manifest.parse(path.read_bytes(), path)
    except (OSError, BuildpermError):
        return  # It takes no part: Cargo has not complained either.
    for table in (document, *_tables(document.get("target"))):
        for kind in ("dependencies", "build-dependencies"):
            for key, wanted in _items(table.get(kind)):
                if isinstance(wanted, dict) and isinstance(wanted.get("path"), str):
                    yield str(wanted.get("package", key)), wanted["path"]


def _tables(table: object) -> list[dict[str, object]]:
    return [each for _, each in _items(table) if isinstance(each, dict)]


def _items(table: object) -> list[tuple[str, object]]:
    return list(table.items()) if isinstance(table, dict) else []


def _sources(folder: Path, target_directory: Path) -> Iterator[tuple[Path, int]]:
    """Yield the Rust sources of a package with their size, always in the same order.

    What other packages and builds have below it is left out.
    """
    for current, folders, names in os.walk(folder):
        here = Path(current)
        folders[:] = sorted(
            name
            for name in folders
            if name != ".git"
            and here / name != target_directory
            and not any(os.path.lexists(here / name / mark) for mark in _NOT_ITS_OWN)
        )
        for name in sorted(names):
            if name.endswith(".rs"):
                try:
                    yield here / name, (here / name).stat().st_size
                except OSError:
                    yield here / name, 0


def _sha256(path: Path) -> str:
    """Hash one file; what is no file counts as absent."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return ABSENT
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ABSENT
        with open(descriptor, "rb", closefd=False) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ABSENT
    finally:
        os.close(descriptor)


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
