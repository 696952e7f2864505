"""Finds the line of Cargo.toml that a finding is about, for viewers that show both."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from buildperm.policy import manifest, pasted_grant
from buildperm.policy.grants import CrateGrants, PackageSpec, parse_key
from buildperm.policy.kinds import Kind
from buildperm.policy.manifest_reader import dotted
from buildperm.policy.toml_statement import Path as Keys
from buildperm.policy.toml_statement import layout
from buildperm.printable import printable

_DEPENDENCIES = ("dependencies", "build-dependencies", "dev-dependencies")
_PRESETS = "presets"


class GrantLines:
    """Finds lines in one Cargo.toml: the closest to what was asked for, or 1."""

    def __init__(self, raw: bytes, path: Path) -> None:
        """Read the Cargo.toml `raw`, which lies at `path`.

        Raises:
            BuildpermError: It is no TOML.
        """
        text, self._document = manifest.parse(raw, path)
        self._raw, self._path = raw, path
        self._home = manifest.table_path(self._document)
        self._layout = layout(text)
        self._lines: dict[Keys, int] = {}
        self._crates = list(self._keys())
        self._dependencies = dict(reversed(list(_dependencies(self._document))))

    @property
    def home(self) -> str:
        """Return the path of the grant table, as TOML writes it."""
        return dotted(self._home)

    def pasted(self, key: str, more: CrateGrants) -> tuple[str, ...]:
        """Return lines for this file that grant a crate more; see `policy.pasted_grant`."""
        return pasted_grant.lines(self._raw, key, more, self._path)

    def of_crate(self, crate: str, version: str, way: Sequence[str] = ()) -> int:
        """Return the line of a crate's grant table, of what pulls it in, of all grants, or 1.

        Args:
            crate: Its key.
            version: Tells apart keys such as `cc@1` and `cc@0.9`; may be empty for a whole key.
            way: Names of packages, from a member of the workspace to the crate.
        """
        key = self._key(crate, version)
        if key:
            return self._line((*self._home, "crates", key))
        for name in (_spec(crate).name, *reversed(way)):
            if name in self._dependencies:
                return self._line(self._dependencies[name])
        return self._line(self._home)

    def of_kind(
        self,
        crate: str,
        version: str,
        kind: Kind,
        targets: Iterable[str],
        way: Sequence[str] = (),
    ) -> int:
        """Return the line of a crate's grants of one kind, or of the grant of one target."""
        return self._of_list(crate, version, str(kind), targets, way)

    def of_grant(self, crate: str, version: str, grant: str, way: Sequence[str] = ()) -> int:
        """Return the line of one grant, written `exec:perl` or `preset:cc`."""
        name, _, what = grant.partition(":")
        return self._of_list(crate, version, _PRESETS if name == "preset" else name, (what,), way)

    def of_setting(self, place: Sequence[str], member: str = "") -> int:
        """Return the line of what stands at `place` in the grant table, of what is around it, or 1.

        `member` tells which one is meant of a list of strings.
        """
        path: Keys = (*self._home, *place)
        written = _at(self._document, path)
        if isinstance(written, list) and member in written:
            path = (*path, written.index(member))
        while path and path not in self._layout.places:
            path = path[:-1]
        return self._line(path)

    def _of_list(
        self, crate: str, version: str, name: str, members: Iterable[str], way: Sequence[str]
    ) -> int:
        path: Keys = (*self._home, "crates", self._key(crate, version), name)
        if path not in self._layout.places:
            return self.of_crate(crate, version, way)
        written = _at(self._document, path)
        wanted = set(members)
        for index, member in enumerate(written if isinstance(written, list) else ()):
            if isinstance(member, str) and member in wanted:
                return self._line((*path, index))
        return self._line(path)

    def _keys(self) -> Iterator[tuple[str, PackageSpec]]:
        crates = _at(self._document, (*self._home, "crates"))
        for key in crates if isinstance(crates, dict) else ():
            yield key, _spec(key)

    def _key(self, crate: str, version: str) -> str:
        """Return the key of the grants of one version; empty if there are none."""
        wanted = _spec(crate)
        if (wanted.version or not version) and any(key == crate for key, _ in self._crates):
            return crate
        fitting = [
            (len(spec.version), key)
            for key, spec in self._crates
            if (spec.source, spec.name) == (wanted.source, wanted.name)
            and _begins(version, spec.version)
        ]
        return max(fitting, default=(0, ""))[1]

    def _line(self, path: Keys) -> int:
        """Return the line of what the file has under exactly this path; 1 if nothing."""
        if path not in self._lines:
            there = path in self._layout.places
            self._lines[path] = self._layout.line(path) if there else 1
        return self._lines[path]


def in_repository(path: Path) -> str:
    """Return where a Cargo.toml is within its repository, with `/`; its name where there is none.

    A repository is a folder with `.git`, whether that is a folder or, in a second work tree, a
    file.
    """
    for folder in path.absolute().parents:
        if os.path.lexists(folder / ".git"):
            return path.absolute().relative_to(folder).as_posix()
    return path.name


def uri(name: str) -> str:
    """Write a relative path as a URI reference (RFC 3986)."""
    try:
        raw = os.fsencode(name)
    except UnicodeEncodeError:
        raw = os.fsencode(printable(name))
    written = quote(raw)
    # A colon would make a scheme of the first part; two slashes would make a host of the second.
    return written if written and not written.startswith("//") else f".{written}"


def _spec(key: str) -> PackageSpec:
    try:
        return parse_key(key)
    except ValueError:
        return PackageSpec("", key, "")


def _begins(version: str, prefix: str) -> bool:
    return not prefix or version == prefix or version.startswith((f"{prefix}.", f"{prefix}+"))


def _dependencies(document: dict[str, Any]) -> Iterator[tuple[str, Keys]]:
    """Yield the names of the dependencies and the places that name them."""
    tables: list[tuple[str, ...]] = [("workspace", "dependencies")]
    tables += [(name,) for name in _DEPENDENCIES]
    targets = document.get("target")
    if isinstance(targets, dict):
        tables += [("target", target, name) for target in targets for name in _DEPENDENCIES]
    for table in tables:
        found = _at(document, table)
        if isinstance(found, dict):
            for key, value in found.items():
                renamed = value.get("package") if isinstance(value, dict) else None
                yield (renamed if isinstance(renamed, str) else key), (*table, key)


def _at(document: object, path: Keys) -> object:
    for key in path:
        if not isinstance(document, dict) or key not in document:
            return None
        document = document[key]
    return document
