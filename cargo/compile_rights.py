"""What compiling may read and run of this machine: for every package, and for each one besides.

The same machinery decides as for build scripts (`supervisor.landlock_rules`), so what is sensitive,
what belongs to another package and what a person denied stays closed here as well.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildperm.cargo import session_maker
from buildperm.rules import baseline, sensitive
from buildperm.rules.layout import is_systems
from buildperm.rules.pattern import covers, resolve, which
from buildperm.supervisor import landlock
from buildperm.supervisor.filled_trees import filled
from buildperm.supervisor.landlock_rules import EXEC, READ, LandlockRights
from buildperm.supervisor.ownership import Ownership
from buildperm.supervisor.session import ungranted
from buildperm.tracer.notation import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from buildperm.cargo.metadata import Metadata, Package
    from buildperm.supervisor.session import Session, SessionPackage

_OF_ONE = ("$MANIFEST_DIR", "$OUT_DIR", "$TMP")
_SYSTEM = tuple(path for path in baseline.READ if path.endswith("/**") and path[:5] != "/etc/")
_PROGRAMS = tuple(
    path
    for path in _SYSTEM
    if path.startswith(("/usr/", "/bin/", "/sbin/", "/lib", "/nix", "/gnu"))
)
_LINKING = (
    *("cc", "gcc", "clang", "c++", "g++", "clang++", "ld", "ld.bfd", "ld.gold", "ld.lld", "lld"),
    *("mold", "wild", "ar", "as", "strip", "objcopy", "dsymutil", "dwp", "llvm-dwp"),
)
"""What rustc starts by name; PATH says where it is."""

_SETTINGS = (b"clippy.toml", b".clippy.toml", b"rustfmt.toml", b".rustfmt.toml")

_WRITABLE = (b"/dev/null", b"/dev/zero", b"/dev/full")


@dataclass(frozen=True, slots=True)
class OwnRights:
    """What one package may do that not every package may."""

    rights: dict[bytes, int]
    has_manifests: bool  # And read `CompileRights.manifests`, which are not in there.


class CompileRights:
    """Rights by path, without links, as Landlock has them."""

    def __init__(
        self,
        session: Session,
        metadata: Metadata,
        programs: Iterable[bytes],
        granted: Mapping[str, SessionPackage],
    ) -> None:
        """Prepare to ask about many packages.

        Args:
            session: Whose places, tier and profile count.
            metadata: The workspace.
            programs: Linkers and wrappers that the user has chosen, by their absolute paths.
            granted: What each package may do, and what a person denied it.
        """
        self._session = session
        self._metadata = metadata
        self._programs = tuple(programs)
        self._granted = granted
        self._filled = filled(session)
        self._fetched = _fetched(session, metadata)
        places = session["places"]
        self._apart = sensitive.apart_from_package(places)
        self._ownership = Ownership(places, session.get("owned", ()), session.get("homes", ()))
        self._named = list(filter(self._is_setting, session_maker.manifests(metadata)))
        self.manifests = self._readable_manifests()
        self._common: dict[tuple[tuple[str, ...], ...], dict[bytes, int]] = {}
        self._foreign: dict[str, set[bytes]] = {}  # What lies in its folder, by package.
        self._known: dict[tuple[str, tuple[str, ...]], OwnRights] = {}  # Sources.

    def common(
        self, denied: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    ) -> dict[bytes, int]:
        """Return what every compilation may do: tool chain, system, sources that were fetched.

        `denied` are patterns of what may not be read and not be run all the same.
        """
        known = self._common.get(denied)
        if known is None:
            known = self._common[denied] = self._found_common(*denied)
        return known

    def _found_common(self, read: Iterable[str], run: Iterable[str]) -> dict[bytes, int]:
        package = ungranted()
        package["deny"] = {"read": [*read], "exec": [*run]}
        grants = self._begin(b"/nonexistent/buildperm", package)
        own = [path for path in baseline.READ if not path.startswith(_OF_ONE)]
        grants.add_common("read", own, READ)
        grants.add_common("exec", [*baseline.EXEC, *_PROGRAMS], EXEC)
        for device in _WRITABLE:
            grants.add(device, landlock.READ_FILE | landlock.WRITE_FILE)
        for folder in self._fetched:
            grants.add(folder, READ)
        for program in (*self._linking(), *self._programs):
            grants.add_tool(program)
            for tree in self._around(program):
                grants.add_common("exec", [f"{encode(tree)}/**"], EXEC | READ)
        return grants.rights

    def of(self, package: Package, granted: SessionPackage) -> OwnRights:
        """Return what compiling one package may do besides.

        Args:
            package: Of the workspace, or fetched.
            granted: What was granted to it, and to its macros.
        """
        own = self.own(package)
        is_learning = self._session["profile"] == "learning" and not granted.get("young")
        if granted["read"] or granted["exec"] or is_learning:
            grants = self._begin(os.fsencode(package.folder), granted)
            grants.add_package()
            if is_learning:
                target = os.fsencode(self._metadata.target_directory)
                built = (target, self._session["places"]["TARGET_DIR"])
                grants.add_all_but(self._session["places"]["WORKSPACE"], built, READ)
            _merge(own.rights, grants.rights)
        return own

    def own(self, package: Package) -> OwnRights:
        """Return what compiling one package may read without any grant: what it consists of.

        Its dependencies may lie in the workspace as well.
        """
        rights: dict[bytes, int] = {}
        has_manifests = False
        denied = self._denied(package)
        packages = (self._metadata.packages[each] for each in self._metadata.below(package.id))
        for each in (package, *packages):
            if not each.source:
                sources = self._sources(each, denied)
                _merge(rights, sources.rights)
                has_manifests |= sources.has_manifests
        return OwnRights(rights, has_manifests)

    def unasked(self, package: Package, lent: Iterable[str]) -> dict[bytes, int]:
        """Return what compiling one package may do without a grant of its own.

        `lent` are patterns of what its macros may read.
        """
        rights = self._told(self.own(package))
        _merge(rights, self.common())
        lent = [*lent]
        if not lent:
            return rights
        granted = ungranted()
        granted["read"], granted["deny"] = lent, self._granted[package.id]["deny"]
        grants = self._begin(os.fsencode(package.folder), granted)
        grants.add_package()
        _merge(rights, grants.rights)
        return rights

    def _denied(self, package: Package) -> tuple[str, ...]:
        """Return what a person denied a package to read, by patterns without its folder's token."""
        places = self._session["places"] | {"MANIFEST_DIR": os.fsencode(package.folder)}
        patterns = self._granted[package.id]["deny"].get("read", ())
        found = (path for pattern in patterns for path, _ in resolve(pattern, places))
        return tuple(sorted({encode(path) for path in found}))

    def _told(self, own: OwnRights) -> dict[bytes, int]:
        """Return what a package may do, with the manifests."""
        return {**self.manifests, **own.rights} if own.has_manifests else {**own.rights}

    def _sources(self, package: Package, denied: tuple[str, ...]) -> OwnRights:
        """Return the rights to the sources of one package of the workspace, or beside it."""
        known = self._known.get((package.id, denied))
        if known is None:
            nobody = ungranted()
            nobody["deny"] = {"read": [*denied]}
            grants = self._begin(os.fsencode(package.folder), nobody)
            grants.add_common("read", ["$MANIFEST_DIR/**"], READ)
            beside = [*self._beside(package)]
            folders = [path for path in beside if os.path.isdir(path)]
            for each in folders:
                grants.add_common("read", [f"{encode(each)}/**"], READ)
            grants.add_readable(path for path in beside if path not in folders)
            folder = os.fsencode(package.folder)
            has_manifests = covers(self._session["places"]["WORKSPACE"], folder)
            if has_manifests:
                grants.add_readable(self._settings(folder))
            if has_manifests and not self._may_share(folder, grants, denied):
                grants.add_readable(self._named)
                has_manifests = False
            known = self._known[package.id, denied] = OwnRights(grants.rights, has_manifests)
            self._foreign[package.id] = grants.foreign
        return known

    def foreign(self, package: Package) -> list[bytes]:
        """List what lies in the folder of a package, and is not for it to read."""
        own = self._told(self.own(package))
        return sorted(path for path in self._foreign.get(package.id, ()) if not may_read(path, own))

    def _readable_manifests(self) -> dict[bytes, int]:
        """Return the manifests as any package of the workspace may read them."""
        grants = self._begin(b"/nonexistent/buildperm", ungranted())
        grants.add_readable(self._named)
        return grants.rights

    def _may_share(self, folder: bytes, grants: LandlockRights, denied: tuple[str, ...]) -> bool:
        """Tell whether `manifests` holds for a package: nothing of them is closed to it alone."""
        start, end = folder + b"/", folder + b"0"  # The byte after `/`.
        within = self._named[bisect_left(self._named, start) : bisect_left(self._named, end)]
        return not denied and not any(map(grants.is_sensitive, within))

    def _beside(self, package: Package) -> Iterator[bytes]:
        """Yield what a package names as its own beside its folder, in the workspace.

        Whoever wrote the manifest may have named anything, such as a key for a readme.
        """
        workspace = self._session["places"]["WORKSPACE"]
        for path in package.outside:
            real = os.path.realpath(os.fsencode(path))
            if covers(workspace, real):
                yield real

    def _settings(self, folder: bytes) -> Iterator[bytes]:
        """Yield what Clippy looks for in each folder above a package, up to the workspace."""
        while folder != self._session["places"]["WORKSPACE"]:
            folder = os.path.dirname(folder)
            yield from filter(self._is_setting, (os.path.join(folder, name) for name in _SETTINGS))

    def _is_setting(self, path: bytes) -> bool:
        """Tell whether a file is of the workspace: a link may be called so, and lead anywhere."""
        workspace = self._session["places"]["WORKSPACE"]
        is_there = covers(workspace, path) and os.path.realpath(path) == path
        return is_there and os.path.isfile(path)

    def _begin(self, folder: bytes, package: SessionPackage) -> LandlockRights:
        session = self._session
        places = session["places"] | {"MANIFEST_DIR": folder}
        return LandlockRights(
            package,
            places,
            session["path"],
            session.get("found"),
            self._filled,
            session.get("tier"),
            self._ownership.of(folder),
            sensitive_apart=self._apart,
        )

    def _linking(self) -> list[bytes]:
        """Find the programs of the system that rustc starts, where they are not the system's."""
        path = self._session["path"]
        return [found for name in _LINKING if (found := which(name.encode(), path))]

    def _around(self, program: bytes) -> list[bytes]:
        """Name what belongs to a compiler outside of the system: all of its `PREFIX`, if any."""
        real = os.path.realpath(program)
        prefix, _, folder = os.path.dirname(real).rpartition(b"/")
        if folder != b"bin" or prefix.count(b"/") < 2 or is_systems(prefix):
            return []
        tier = self._session["tier"]
        is_home = any(covers(home, prefix) for home in tier["homes"])
        return (
            [] if is_home and not any(covers(each, prefix) for each in tier["open"]) else [prefix]
        )


def entries(rights: Mapping[bytes, int]) -> list[bytes]:
    """Write rights as the session of the launcher does: a letter and a path."""
    return [_letter(rights[path]) + b" " + path for path in sorted(rights)]


def may_read(path: bytes, rights: Mapping[bytes, int]) -> bool:
    """Tell whether rights open a file for reading, without links."""
    while path and not rights.get(path, 0) & landlock.READ_FILE:
        path = path.rpartition(b"/")[0]
    return bool(path)


def _letter(rights: int) -> bytes:
    if rights & landlock.WRITE_FILE:
        return b"w"
    if rights & landlock.EXECUTE:
        return b"x"
    return b"r" if rights & landlock.READ_FILE else b"d"


def _merge(into: dict[bytes, int], rights: Mapping[bytes, int]) -> None:
    for path, each in rights.items():
        into[path] = into.get(path, 0) | each


def _fetched(session: Session, metadata: Metadata) -> list[bytes]:
    """List the folders with sources that Cargo has fetched: macros and spans lead into others'."""
    cargo_home = session["places"]["CARGO_HOME"]
    roots = [os.path.realpath(cargo_home + each) for each in (b"/registry/src", b"/git/checkouts")]
    folders = [os.fsencode(each.folder) for each in metadata.packages.values() if each.source]
    beside = [each for each in folders if not any(covers(root, each) for root in roots)]
    return [*roots, *beside]
