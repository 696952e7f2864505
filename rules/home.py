"""The home folder while learning: closed, except for what a build needs of it.

Nobody can list what all tools keep in a home folder: each new one has its own place for keys. What
tool chains and compilers keep there can be listed.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import os

from buildperm.rules import repository
from buildperm.rules.home_table import (
    CACHES,
    FILES,
    OPEN,
    SEARCH_PATHS,
    TOOL_BEGINNINGS,
    TOOL_ENDINGS,
    TOOLS,
)
from buildperm.rules.pattern import covers
from buildperm.rules.sensitive_links import SYSTEM, outermost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_XDG = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
_PROGRAMS = (b"bin", b"sbin", b"shims", b"libexec", b"lib", b"lib64", b"include")
_PARTS = (b"bin", b"sbin", b"lib", b"lib32", b"lib64", b"libexec", b"include", b"share", b"etc")
_PROJECT = (b".git", b".hg", b".svn", b".jj", b"Cargo.toml", b"package.json", b".env")
_LISTED_MOST = 2_000  # Entries of one folder of PATH in the home folder.


def closed(places: Mapping[str, bytes], environ: Mapping[bytes, bytes]) -> list[bytes]:
    """List the folders that are closed while learning: HOME, and where XDG_* put parts of it.

    None that lies in the workspace, or has the system in it: some containers have no home but `/`.
    """
    named = [places.get("HOME", b"")]
    for name in _XDG:
        folder = environ.get(name.encode(), b"")
        named.append(os.path.realpath(folder) if folder.startswith(b"/") else b"")
    found: list[bytes] = []
    for folder in named:
        if not folder.startswith(b"/") or any(covers(other, folder) for other in found):
            continue
        building = [places[token] for token in ("WORKSPACE", "MANIFEST_DIR") if token in places]
        if any(covers(place, folder) for place in building) or any(
            covers(folder, system) or (covers(system, folder) and not _is_apart(folder))
            for system in (*SYSTEM, b"/etc")
        ):
            continue
        found.append(folder)
    return found


def opened(
    homes: Iterable[bytes],
    places: Mapping[str, bytes],
    environ: Mapping[bytes, bytes],
    path: bytes,
) -> list[bytes]:
    """List what stays open in `homes`: existing files and folders, without links, sorted.

    Args:
        homes: What `closed` returned.
        places: Folders by token.
        environ: The environment of whoever builds, not of a script.
        path: PATH of build scripts.
    """
    homes = list(homes)
    if not homes:
        return []
    home = places.get("HOME", b"")
    cargo_home = places.get("CARGO_HOME", home + b"/.cargo")
    named = [home + b"/" + each.encode() for each in (*OPEN, *FILES)]
    named += [cargo_home + each for each in (b"/bin", b"/registry", b"/git")]
    for name, below in (("XDG_CACHE_HOME", b"/.cache"), ("XDG_DATA_HOME", b"/.local/share")):
        folder = environ.get(name.encode(), b"") or home + below
        if name == "XDG_CACHE_HOME":
            named += [folder + b"/" + each.encode() for each in CACHES]
        elif folder != home + below:
            named += [
                folder + b"/" + each.removeprefix(".local/share/").encode()
                for each in OPEN
                if each.startswith(".local/share/")
            ]
    named += repository.folders(places.get("WORKSPACE", b"/"))
    named += _tools(environ, path, homes)
    found: set[bytes] = set()
    for each in named:
        if each.startswith(b"/") and os.path.lexists(each):
            real = os.path.realpath(each)
            if _may_open(real, homes):
                found.add(real)
    return outermost(found)


def _tools(environ: Mapping[bytes, bytes], path: bytes, homes: list[bytes]) -> Iterator[bytes]:
    """Yield what the environment names of tool chains, with the folders that they are parts of."""
    folders: dict[bytes, None] = dict.fromkeys(path.split(b":"))
    for raw, value in environ.items():
        name = raw.decode("ascii", "replace")
        if name in SEARCH_PATHS:
            folders.update(dict.fromkeys(value.split(b":")))
        elif name in TOOLS or name.endswith(TOOL_ENDINGS) or name.startswith(TOOL_BEGINNINGS):
            for word in value.split():
                if word.startswith(b"/"):
                    folders[word] = None
    for named in folders:
        if not named.startswith(b"/"):
            continue
        real = os.path.realpath(named)
        if not any(covers(home, real) for home in homes):
            continue
        yield real
        yield from _around(real, homes)
        for target in _links(real):
            yield target
            yield from _around(target, homes)


def _around(path: bytes, homes: list[bytes]) -> Iterator[bytes]:
    """Yield what `PREFIX/bin` or `PREFIX/bin/PROGRAM` needs beside it: all of PREFIX.

    Of a folder that is somebody's project only its usual parts.
    """
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    prefix, _, name = folder.rpartition(b"/")
    if name not in _PROGRAMS or not _may_open(prefix, homes):
        return
    if any(os.path.lexists(prefix + b"/" + mark) for mark in _PROJECT):
        for part in _PARTS:
            yield prefix + b"/" + part
    else:
        yield prefix


def _links(folder: bytes) -> Iterator[bytes]:
    """Yield where links in a folder of programs lead: `~/.local/bin/protoc -> ~/opt/…`."""
    left = _LISTED_MOST
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                left -= 1
                if left < 0:
                    return
                if entry.is_symlink():
                    real = os.path.realpath(entry.path)
                    if os.path.isfile(real) and os.access(real, os.X_OK):
                        yield real
    except OSError:
        return


def _may_open(path: bytes, homes: list[bytes]) -> bool:
    """Tell whether `path` is in a closed folder, and not one that everything is in."""
    if not any(path != home and covers(home, path) for home in homes):
        return False
    for home in homes:
        wide = [home, *(home + name for name in (b"/.local", b"/.local/share", b"/.config"))]
        wide += [home + name for name in (b"/.cache", b"/.local/state", b"/.cargo", b"/.conan2")]
        if path in wide or any(covers(path, other) for other in homes):
            return False
    return True


def _is_apart(folder: bytes) -> bool:
    """Tell a home folder that lies in a folder of the system from a part of the system."""
    return folder.count(b"/") > 2 or folder.startswith(b"/usr/home")
