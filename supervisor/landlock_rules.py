"""Turns the grants of a build script into Landlock rules, for learning and for enforcing.

Both profiles are a table of rights by path. Learning adds that everything outside of the sensitive
tier may be read and run.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os
import posixpath

from buildperm.rules import (
    baseline,
    sensitive,
    tier,
)
from buildperm.rules.pattern import absolute, covers, is_literal, locate
from buildperm.supervisor import landlock, learning_rights
from buildperm.supervisor.exclusion import Excluded, listable, remainder
from buildperm.supervisor.grant_reach import OWN_ROOTS, GrantReach
from buildperm.supervisor.learning_rights import is_ordinary
from buildperm.supervisor.ownership import Ownership

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buildperm.rules.tier import Tier
    from buildperm.supervisor.session import SessionPackage

READ = landlock.READ_FILE | landlock.READ_DIR
EXEC = landlock.EXECUTE | landlock.READ_FILE
MODIFY = landlock.WRITE_FILE | landlock.TRUNCATE
WRITE = (
    MODIFY
    | landlock.REMOVE_DIR
    | landlock.REMOVE_FILE
    | landlock.MAKE_DIR
    | landlock.MAKE_REG
    | landlock.MAKE_SYM
)
OWN = READ | WRITE | landlock.MAKE_SOCK | landlock.MAKE_FIFO | landlock.REFER
"""For OUT_DIR and $TMP. Only there may files move between folders: nothing is from outside."""

_DEVICES = (b"/dev/null", b"/dev/zero", b"/dev/full")  # An ioctl on these changes nothing.

_LISTED = b"/opt"
"""Where libraries look for what is installed: clang does, also within a script that loads it."""


class LandlockRights:
    """The rights of a script by path; a path that is granted twice gets both."""

    def __init__(
        self,
        package: SessionPackage,
        places: Mapping[str, bytes],
        path: bytes,
        found: Mapping[str, list[tuple[bytes, bool]]] | None = None,
        filled: Iterable[bytes] = (),
        found_tier: Tier | None = None,
        ownership: Ownership | None = None,
        allowed: baseline.Baseline = baseline.OF_SCRIPTS,
        sensitive_apart: Mapping[bytes, bytes] | None = None,
        *,
        is_in_root: bool = False,
    ) -> None:
        """Begin with nothing granted.

        Args:
            package: Whose grants are meant.
            places: Folders by token.
            path: PATH, for the names of programs.
            found: What some patterns have been found to lead to, names of programs among them.
            filled: Trees that somebody else than the user fills: see `filled_trees`.
            found_tier: What `rules.tier` has found; nothing if not told.
            ownership: Whose the folders of this machine are.
            allowed: What needs no grant.
            sensitive_apart: What `sensitive.apart_from_package` has found, for whoever asks about
                many packages; looked up if not told.
            is_in_root: A root is in the place of the machine's system folders.
        """
        self.rights: dict[bytes, int] = {}
        self.with_exclusions: set[bytes] = set()  # Folders granted but for what is excluded.
        self.covered: set[bytes] = set()  # Files in folders that can be listed all the same.
        # Folders in which all names may be seen, and whether nothing but files is closed there;
        # None for what lies in them and is somebody else's.
        self.listed: dict[bytes, bool | None] = {}
        self.foreign: set[bytes] = set()  # In the folder of the package, and not its own.
        self._ownership = ownership or Ownership(places)
        self._allowed = allowed
        self._package = package
        self._places = places
        self._tier = found_tier or tier.NOTHING
        self._reach = GrantReach(
            *(package, places, path, found or {}, filled, self._tier, sensitive_apart),
            is_in_root=is_in_root,
        )

    @property
    def left_out(self) -> Mapping[tuple[str, str], bytes]:
        """What grants do not open because links lead out of their folders: see `Containment`."""
        return self._reach.left_out

    def add_baseline(self) -> None:
        """Grant what needs no grant of a person."""
        self._add_baseline("read", self._allowed.read, READ)
        self._add_baseline("exec", self._allowed.exec, EXEC)
        self._add_installed()
        for device in _DEVICES:
            self.add(device, READ | MODIFY | landlock.IOCTL_DEV)
        for token in self._allowed.own:
            self.add(self._places[token], OWN)
        for pattern in self._allowed.write:
            if not pattern.startswith(("$OUT_DIR", "$TMP")) and is_literal(pattern):
                self.add(absolute(pattern, self._places) or b"/dev/null", MODIFY)

    def _add_installed(self) -> None:
        """Let names in `/opt` be seen, unless a home or anything that is held is there.

        Who may list a folder may list all below it.
        """
        theirs = Excluded.without_links([*self._places.values(), *self._tier["homes"]])
        theirs |= self._reach.held | self._reach.sensitive
        if os.path.isdir(_LISTED) and not theirs.below(_LISTED) and not theirs.above(_LISTED):
            self._add_listing(_LISTED, Excluded(self._reach.denied("read")))

    def add_package(self) -> None:
        """Grant what a person granted to this package."""
        self._add_grants("read", self._package["read"], READ, is_ours=True)
        self._add_grants("exec", self._package["exec"], EXEC)
        before = set(self.rights)
        self._add_grants("write", self._package["write"], WRITE, is_ours=True)
        for path in set(self.rights) - before:  # Made since its package was cut into pieces.
            if covers(self._places["MANIFEST_DIR"], path) and not self._reach.sensitive.above(path):
                self.add(path, READ)

    def add_learning(self) -> None:
        """Grant reading and running of everything outside the sensitive tier."""
        learning_rights.add(self, self._reach, self._places, self._tier)

    def add_readable(self, paths: Iterable[bytes]) -> None:
        """Let files be read, unless that is denied or something sensitive is there."""
        self._add_unless(self._reach.unreadable, paths)

    def add_sources(self, paths: Iterable[bytes]) -> None:
        """Let published sources be read, but for what in them is sensitive or denied."""
        closed: Excluded | None = None
        for path in paths:
            if closed is None:
                closed = self._reach.unreadable
            if closed.above(path) or sensitive.why(locate(path, self._places), writing=False):
                continue
            if os.path.isdir(path):
                within = Excluded(tier.inside(path, self._places)) | self._ownership.others(path)
                self.add_remainder(path, closed | within, READ, is_granted=True)
            else:
                self.add(path, READ)

    def add_harmless(self, paths: Iterable[bytes]) -> None:
        """Let files be read that only by their name might hold a secret, unless that is denied."""
        self._add_unless(Excluded(self._reach.denied("read")), paths)

    def _add_unless(self, closed: Excluded, paths: Iterable[bytes]) -> None:
        for path in paths:
            if not closed.above(path):
                self.add(path, READ)

    def is_sensitive(self, path: bytes) -> bool:
        """Tell whether something sensitive is at `path` or above it."""
        return bool(self._reach.sensitive.above(path))

    def add_listing(self, folder: bytes) -> None:
        """Let a folder be listed, and all below it, unless something there is sensitive."""
        self._add_listing(folder, Excluded(self._reach.denied("read")))

    def add_program_folders(self, folders: Iterable[bytes]) -> list[bytes]:
        """Let folders of PATH be listed in which nothing but files is; return which.

        Whoever looks for a program by its name lists them. They hold names of programs, which
        execve(2) tells anyhow: it answers otherwise where there is none.
        """
        listed: list[bytes] = []
        closed = self._reach.unreadable
        named = {each: os.path.realpath(each) for each in folders if os.path.isabs(each)}
        within = (real for each, real in named.items() if not self._reach.leaves_root(each, real))
        for folder in dict.fromkeys(within):
            if is_granted(self.rights, folder, landlock.READ_DIR) or folder in listed:
                continue
            if closed.above(folder) or self._ownership.shares(folder):
                continue
            if folder == self._places.get("HOME") or _has_folders(folder):
                continue
            self.add_listing(folder)
            if self.rights.get(folder, 0) & landlock.READ_DIR:
                listed.append(folder)
        return listed

    def add_tool(self, program: bytes) -> None:
        """Grant to run `program` if it is an absolute path, wherever links lead from there.

        Those of a root lead nowhere but into it.
        """
        if program.startswith(b"/"):
            real = os.path.realpath(program)
            if not self._reach.leaves_root(program, real):
                self.add(real, EXEC)

    def add(self, path: bytes, rights: int) -> None:
        """Grant `rights` on exactly this `path`, and on all below it if it is a folder."""
        self.rights[path] = self.rights.get(path, 0) | rights

    def add_common(self, kind: str, patterns: Iterable[str], rights: int) -> None:
        """Grant what patterns mean, but for what in it is sensitive or somebody else's."""
        self._add_baseline(kind, patterns, rights)

    def add_all_but(self, tree: bytes, others: Iterable[bytes], rights: int) -> None:
        """Grant a tree, but for what in it is sensitive or denied, and without some folders."""
        closed = self._reach.unreadable | Excluded(others)
        self.add_remainder(tree, closed, rights)

    def add_remainder(
        self,
        root: bytes,
        excluded: Excluded,
        rights: int,
        *,
        can_list: bool = True,
        is_granted: bool = False,
    ) -> None:
        """Grant a tree but for what is excluded; `is_granted` if a person has named this tree."""
        parts = remainder(root, excluded)
        for path, _ in parts:
            self.add(path, rights)
        if parts and parts[0][0] != root:
            self.with_exclusions.add(root)
            # To list a folder is to list all below it. Where nothing but files was cut out, that
            # tells no more than their names, in a folder that is the build's own, or was granted.
            within = excluded.below(root)
            if can_list and self._may_list(root, within):
                self._add_listed(root, within)
            elif can_list and (self._is_own(root) or (is_granted and is_ordinary(root))):
                for folder in listable(root, excluded):
                    self._add_listed(folder, excluded.below(folder))

    def _add_listed(self, folder: bytes, within: Iterable[bytes]) -> None:
        """Let a folder be listed that is granted but for files `within`."""
        self.with_exclusions.add(folder)
        self.listed[folder] = True
        self.add(folder, landlock.READ_DIR)
        self.covered.update(within)

    def _may_list(self, root: bytes, within: Iterable[bytes]) -> bool:
        """Tell whether `root` may be listed although what is `within` is closed."""
        return self._is_own(root) and not any(map(os.path.isdir, within))

    def _is_own(self, root: bytes) -> bool:
        """Tell whether a folder belongs to what is built."""
        return any(covers(self._places.get(token, b"\0"), root) for token in OWN_ROOTS)

    def _add_grants(
        self, kind: str, patterns: Iterable[str], rights: int, *, is_ours: bool = False
    ) -> None:
        """Grant what a person granted; `is_ours` keeps what the package may not open closed."""
        denied = Excluded(self._reach.denied(kind))
        for path, below, hidden in self._reach.opened(kind, patterns, denied):
            if below:
                self._add_granted_tree(kind, path, hidden, rights, is_ours=is_ours)
            elif not os.path.isdir(path):
                self.add(path, rights)
            elif kind == "read":
                self._add_listing(path, denied, is_granted=True)

    def _add_baseline(self, kind: str, patterns: Iterable[str], rights: int) -> None:
        """Grant what everybody may do, but for what belongs to somebody else."""
        denied = Excluded(self._reach.denied(kind))
        for path, below, hidden in self._reach.opened(kind, patterns, denied):
            if below:
                self._add_tree(path, hidden, rights)
            elif not os.path.isdir(path):
                self.add(path, rights)
            elif kind == "read" and not self._ownership.shares(path):
                self._add_listing(path, denied)

    def _add_granted_tree(
        self, kind: str, tree: bytes, hidden: Excluded, rights: int, *, is_ours: bool
    ) -> None:
        if kind == "write" and self._ownership.is_others(tree):
            return  # Another package's build script and manifest are in it.
        within = Excluded(tier.inside(tree, self._places) if is_ours else ())
        # A home folder that lies in one of the system's is no part of that.
        homes = [home for home in self._tier["homes"] if home != tree]
        within |= Excluded.without_links(home for home in homes if covers(tree, home))
        if kind == "write":
            # Nor are sources, which go by tokens of their own (`/srv/**`), nor those of other
            # packages: their build scripts run later.
            within |= Excluded.without_links(self._sources_below(tree))
        self.add_remainder(tree, hidden | within, rights, can_list=kind == "read", is_granted=True)

    def _add_listing(self, folder: bytes, denied: Excluded, *, is_granted: bool = False) -> None:
        """Let a folder be listed, where nothing sensitive is below: the right holds there, too.

        In a folder of the build, or one that a person has named, names of files may be seen.
        """
        closed = self._reach.sensitive | denied
        below = closed.below(folder)
        is_listed = is_granted and is_ordinary(folder) and listable(folder, closed) == [folder]
        if not below or is_listed or self._may_list(folder, below):
            self.add(folder, landlock.READ_DIR)
            self.covered.update(below)

    def _sources_below(self, folder_: bytes) -> list[bytes]:
        places = (self._places.get(token, b"") for token in OWN_ROOTS)
        own = [place for place in places if place != folder_ and covers(folder_, place)]
        return [*own, *self._ownership.others(folder_).below(folder_)]

    def _add_tree(self, tree: bytes, hidden: Excluded, rights: int) -> None:
        """Grant a tree of the baseline, but for what in it is somebody else's."""
        others = self._ownership.others(tree)
        foreign = others.below(tree)
        can_list = bool(rights & landlock.READ_DIR)
        is_package = tree == self._places.get("MANIFEST_DIR")
        if is_package:
            self.foreign = set(foreign)
        self.add_remainder(tree, hidden | others, rights, can_list=can_list)
        # A package is listed as it would be if Cargo built in it, whatever is closed in it.
        if can_list and (foreign or is_package) and self._ownership.may_list(tree):
            self.add(tree, landlock.READ_DIR)
            if is_package:
                self.listed = {**dict.fromkeys(foreign), tree: False} | self.listed


def _has_folders(folder: bytes) -> bool:
    """Tell whether there are folders in a folder, or that cannot be told."""
    try:
        with os.scandir(folder) as entries:
            return any(entry.is_dir(follow_symlinks=False) for entry in entries)
    except OSError:
        return True


def is_granted(rights: Mapping[bytes, int], path: bytes, wanted: int) -> bool:
    """Tell whether any of the rights `wanted` is there for `path`: landlock(7).

    For a path without links, and for what is put in its place.
    """
    while True:
        if rights.get(path, 0) & wanted:
            return True
        if path in (b"/", b""):
            return False
        path = posixpath.dirname(path)
