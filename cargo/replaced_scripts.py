"""Build scripts that never run, because Cargo's configuration says what they would say.

`[target.TRIPLE.LINKS]` takes the place of the build script of the package with that `links`, where
it is built for that triple: Cargo book, "Build Scripts", "Overriding Build Scripts".
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from buildperm.cargo.metadata import Metadata

_HOST = "host-tuple"  # What `--target` may call this machine.


def replaced(
    metadata: Metadata,
    libraries: Mapping[str, Collection[str]],
    host: str,
    targets: Collection[str],
) -> frozenset[str]:
    """Return the IDs of the packages whose build scripts are replaced wherever they could run.

    Args:
        metadata: The workspace.
        libraries: By triple, what of `links` the configuration has a table for.
        host: Triple of this machine: what builds are made of is built for it.
        targets: What is built for besides, as triples or files; none: for the host alone.
    """
    if not libraries:
        return frozenset()
    triples = {host if target == _HOST else _triple(target) for target in targets}
    on_host = _on_host(metadata) if triples - {host} else frozenset(metadata.packages)
    return frozenset(
        each.id
        for each in metadata.packages.values()
        if each.links
        and all(
            each.links in libraries.get(triple, ())
            for triple in triples | ({host} if each.id in on_host else set())
        )
    )


def _on_host(metadata: Metadata) -> frozenset[str]:
    """Return the IDs of what may be built for this machine, to be run while building."""
    roots = {each.id for each in metadata.packages.values() if each.has_macros}
    for each in metadata.packages.values():
        roots |= {
            other
            for other in metadata.dependencies.get(each.id, ())
            if metadata.packages[other].name in each.build_dependencies
        }
    return frozenset(roots.union(*map(metadata.below, roots)))


def _triple(target: str) -> str:
    """Return what a configuration calls a target, which may be given as a file."""
    path = PurePath(target)
    return path.stem if path.suffix == ".json" else target
