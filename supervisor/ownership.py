"""Who owns what in a tree of the baseline: the deepest owner of a folder decides.

`/usr/**` belongs to the system, but not the workspace in `/usr/src/app`, the CARGO_HOME in
`/usr/local/cargo` or the home in `/usr/home/me`. A package owns its folder, but not what Cargo
builds in it, nor other packages in it, nor `.git`. The reverse needs no rule: the system's trees
and the tool chain are granted by what they are, wherever they lie.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.rules.layout import SHARED, is_systems
from buildperm.supervisor.exclusion import Excluded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buildperm.supervisor.session import Session

_TOKENS = ("WORKSPACE", "TARGET_DIR", "CARGO_HOME", "HOME")
_BUILT = b"CACHEDIR.TAG"  # Cargo puts it into every target directory.


class Ownership:
    """The folders of a machine that have an owner, for quick looks into a tree."""

    def __init__(
        self, places: Mapping[str, bytes], owned: Iterable[bytes] = (), homes: Iterable[bytes] = ()
    ) -> None:
        """Take the owned folders; all paths are without links.

        Args:
            places: Folders by token.
            owned: Further folders, such as those of packages.
            homes: Home folders besides that of `places`.
        """
        self._own = places.get("MANIFEST_DIR", b"")
        self._owned = frozenset(owned) - {places.get("WORKSPACE", b"")}
        named = {places[token] for token in _TOKENS if places.get(token)}
        self._homes = Excluded.without_links(_apart({*homes, places.get("HOME", b"")}))
        self._all = Excluded.without_links(_apart({*named, *owned})) | self._homes

    def of(self, package: bytes) -> Ownership:
        """Return the same from the point of view of another package, by its folder."""
        made = Ownership({})
        made._own = package
        made._owned, made._homes, made._all = self._owned, self._homes, self._all
        return made

    def others(self, tree: bytes) -> Excluded:
        """Return what lies in `tree`, the system's or the package's own, and belongs to others."""
        found = set(self._all.below(tree))
        if tree == self._own:
            found.update(_beside(tree))
        return Excluded.without_links(found)

    def is_others(self, folder: bytes) -> bool:
        """Tell whether `folder` belongs to another package, or to somebody else."""
        return folder in self._owned and folder != self._own

    def shares(self, folder: bytes) -> bool:
        """Tell whether `folder` holds, or may hold, what belongs to others."""
        return folder in SHARED or bool(self._all.below(folder))

    def may_list(self, tree: bytes) -> bool:
        """Tell whether all folders in `tree` may be listed, so that `tree` itself can be.

        Landlock has no right to list just one folder. Programs look through `/usr` and through
        their own package, so names of other files there can be seen, and nothing else of them. The
        names of files in homes must not be seen.
        """
        return not self._homes.below(tree)


def of_session(session: Session, places: Mapping[str, bytes]) -> Ownership:
    """Return who owns the folders of a session, for a run with these `places`."""
    return Ownership(places, session.get("owned", ()), session.get("homes", ()))


def _apart(folders: Iterable[bytes]) -> set[bytes]:
    """Leave out the system's folders; of shared ones, keep only what is not the system's.

    What is made there later is in no grant either.
    """
    found: set[bytes] = set()
    for folder in folders:
        if folder in SHARED:
            found.update(path for path in _children(folder) if not is_systems(path))
        elif folder and not is_systems(folder):
            found.add(folder)
    return found


def _beside(package: bytes) -> list[bytes]:
    """List what lies in the folder of a package and is not its own."""
    above = package.rstrip(b"/")
    found = [path for path in _children(package) if is_systems(path)] if package in SHARED else []
    found += [path for path in (above + b"/.git",) if os.path.lexists(path)]
    return found + [path for path in (above + b"/target",) if os.path.lexists(path + b"/" + _BUILT)]


def _children(folder: bytes) -> list[bytes]:
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder)]
    except OSError:
        return []
