"""What the patterns of grants lead to on this machine, and what stays closed in it.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

from buildperm.rules import (
    own_temporaries,
    profile_output,
    root_layout,
    sensitive,
    shared_output,
    tier,
)
from buildperm.rules.containment import Containment
from buildperm.rules.pattern import absolute, covers, is_literal, resolve, resolve_exec
from buildperm.supervisor.exclusion import Excluded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from buildperm.rules.tier import Tier
    from buildperm.supervisor.session import SessionPackage

READ_ROOTS = ("OUT_DIR", "TMP", "MANIFEST_DIR", "WORKSPACE", "TARGET_DIR", "SYSROOT")
"""Folders that a person chose to build in, by token: they may lie in what is closed."""

OWN_ROOTS = ("MANIFEST_DIR", "WORKSPACE")
"""Those of them that hold what is built."""

_WRITE_ROOTS = ("OUT_DIR", "TMP", "MANIFEST_DIR", "WORKSPACE")


class GrantReach:
    """What one package could open, and what is closed to it."""

    def __init__(
        self,
        package: SessionPackage,
        places: Mapping[str, bytes],
        path: bytes,
        found: Mapping[str, list[tuple[bytes, bool]]],
        filled: Iterable[bytes],
        found_tier: Tier,
        sensitive_apart: Mapping[bytes, bytes] | None,
        *,
        is_in_root: bool,
    ) -> None:
        """Find what is sensitive; for the arguments see `LandlockRights`."""
        self._package = package
        self._places = places
        self._path = path
        self._found = found
        self.held = Excluded.without_links(tier.closed_to(found_tier, places["MANIFEST_DIR"]))
        self._home = Excluded.without_links(_within_home(places)) | self.held
        self.sensitive = self._existing(writing=False, known=sensitive_apart)
        self._containment = Containment(places, filled, root_layout.covers if is_in_root else None)

    @property
    def unreadable(self) -> Excluded:
        """What is sensitive, or denied to be read."""
        return self.sensitive | Excluded(self.denied("read"))

    @property
    def left_out(self) -> Mapping[tuple[str, str], bytes]:
        """What grants do not open because links lead out of their folders: see `Containment`."""
        return self._containment.left_out

    def leaves_root(self, named: bytes, real: bytes) -> bool:
        """Tell whether a link of a root leads out of it: see `Containment`."""
        return self._containment.leaves_root(named, real)

    def opened(
        self, kind: str, patterns: Iterable[str], denied: Excluded
    ) -> Iterator[tuple[bytes, bool, Excluded]]:
        """Yield what patterns open: the path, whether all below it, and what stays closed in it."""
        roots = _WRITE_ROOTS if kind == "write" else READ_ROOTS
        excluded: Excluded | None = None
        for pattern in patterns:
            if kind == "write" and shared_output.why_closed(pattern):
                continue
            if profile_output.is_pattern(pattern):
                continue  # Likewise: what it means is put there later.
            if kind == "write" and own_temporaries.is_own(pattern):
                continue  # It opens nothing: see there.
            found = self.within(kind, pattern)
            if not found:
                continue
            if excluded is None:
                excluded = self._excluded(kind) | denied
            # An exact grant of a sensitive file opens exactly that file: it was made by hand. A
            # link of an innocent name that leads to one does not, nor does what was imported.
            is_exact = is_literal(pattern) and pattern not in self._package.get("imported", ())
            named = absolute(pattern, self._places) if is_exact else None
            hidden = denied if named and excluded.above(named) else excluded
            for path, below in found:
                is_workspace = below and path == self._places.get("WORKSPACE")
                if kind == "write" and is_workspace and pattern != "$WORKSPACE/**":
                    continue  # What is refused under that name is no grant under another.
                is_shared = self._is_shared(path) if kind == "write" else None
                if is_shared is None:
                    is_shared = not self.is_hidden(path, hidden, roots)
                if is_shared:
                    yield path, below, hidden

    def _is_shared(self, path: bytes) -> bool | None:
        """Tell whether a script may write what lies in the target directory, if it is granted.

        None of what does not lie there, or is its own.
        """
        target = self._places.get("TARGET_DIR")
        if not target or not covers(target, path):
            return None
        own = (self._places.get(token, b"") for token in _WRITE_ROOTS)
        if any(covers(target, place) and covers(place, path) for place in own if place):
            return None
        if covers(path, self._places.get("OUT_DIR", b"\0")):
            return False
        return shared_output.is_open(path, self._places)

    def within(self, kind: str, pattern: str) -> list[tuple[bytes, bool]]:
        """Find what a grant may open."""
        known = None if kind == "write" else self._found.get(pattern)
        if known is not None:
            return known
        path = self._path if kind == "exec" else None
        return self._containment.within(kind, pattern, path)

    def granted_reads(self) -> Iterator[tuple[bytes, bool]]:
        """Yield what the package was granted to read: the path, and whether all below it."""
        for pattern in self._package["read"]:
            yield from self.within("read", pattern)

    def _resolve(self, kind: str, pattern: str) -> list[tuple[bytes, bool]]:
        """Find what a denial is about."""
        known = None if kind == "write" else self._found.get(pattern)
        if known is not None:
            return known
        if kind == "exec":
            return resolve_exec(pattern, self._path, self._places)
        return resolve(pattern, self._places)

    def _excluded(self, kind: str) -> Excluded:
        if kind != "write":
            return self.sensitive
        return self._existing(writing=True)

    def _existing(self, *, writing: bool, known: Mapping[bytes, bytes] | None = None) -> Excluded:
        found = sensitive.existing(self._places, writing=writing, known=known)
        return Excluded.without_links(found) | self._home

    def denied(self, kind: str) -> frozenset[bytes]:
        """Return what a person has denied."""
        patterns = self._package["deny"].get(kind, ())
        return frozenset(path for each in patterns for path, _ in self._resolve(kind, each))

    def is_hidden(self, path: bytes, excluded: Excluded, tokens: tuple[str, ...]) -> bool:
        """Tell whether `path` is at or below something excluded.

        That does not count where the build itself lies in it: a workspace in `/srv` or in somebody
        else's home is one that a person chose to build.
        """
        above = excluded.above(path)
        if not above:
            return False
        places = [self._places[token] for token in tokens if token in self._places]
        mine = [place for place in places if covers(place, path)]
        return any(not any(covers(upper, place) for place in mine) for upper in above)


def _within_home(places: Mapping[str, bytes]) -> list[bytes]:
    """Name something in the home folder, there or not, so that never all of it is one rule.

    A rule holds for what will be made later, too, and keys are made there.
    """
    home = places.get("HOME", b"")
    if not home or home in (places.get("WORKSPACE"), places.get("MANIFEST_DIR")):
        return []
    return [home.rstrip(b"/") + b"/.ssh"]
