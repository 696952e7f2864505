"""Published sources that crates hand over to their dependents: headers, mostly.

A crate with `links` prints metadata, and Cargo sets `DEP_LINKS_KEY` for the scripts of what depends
on it directly: the Cargo book, "Build scripts", "The `links` manifest key". Many name a folder of
headers in what they were published with. Whoever depends on a crate has its sources compiled into
the program, so a script may read what it is told of there.

Part of the supervisor: standard library only.
"""

from __future__ import annotations

import os

from buildperm.rules.pattern import covers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from buildperm.supervisor.session import SessionPackage

_PUBLISHED = ("registry+", "sparse+", "git+")
_NOT_PACKAGED = frozenset((b".git", b"target"))


def variables_of(links: str) -> str:
    """Return how the variables begin that a package with `links` sets for its dependents.

    Cargo upper-cases the name and writes `-` as `_`: `envify` in its sources.
    """
    return f"DEP_{links.upper().replace('-', '_')}_" if links else ""


def handed_over(
    environ: Mapping[bytes, bytes], packages: Mapping[bytes, SessionPackage]
) -> list[bytes]:
    """List the existing paths in sources of packages that these named to this script.

    A path counts only where the package of that variable has it in its own folder, and was fetched
    from a registry or with Git. Links are resolved. The list is sorted and holds nothing twice.

    Args:
        environ: What Cargo gave.
        packages: By manifest directory, without links.
    """
    given = [(name, value) for name, value in environ.items() if name.startswith(b"DEP_")]
    found: set[bytes] = set()
    for folder, package in packages.items() if given else ():
        prefix = os.fsencode(package.get("handing", ""))
        if not prefix or not package["source"].startswith(_PUBLISHED):
            continue
        for name, value in given:
            if name.startswith(prefix):
                found.update(path for path in _named(value) if _is_packaged(path, folder))
    return sorted(found)


def _named(value: bytes) -> Iterator[bytes]:
    """Yield the paths in a value, without links."""
    if b"\0" not in value:
        parts = {value, *value.split(b":")}
        yield from (os.path.realpath(part) for part in parts if part.startswith(b"/"))


def _is_packaged(path: bytes, folder: bytes) -> bool:
    """Tell whether something is there that came with the package in `folder`."""
    if not covers(folder, path) or not os.path.lexists(path):
        return False
    return _NOT_PACKAGED.isdisjoint(path[len(folder) :].split(b"/"))
