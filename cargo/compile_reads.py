"""What a compilation read from elsewhere, or was refused, as far as that is news."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo import dep_info
from buildperm.cargo.compile_rights import may_read
from buildperm.rules import baseline
from buildperm.rules.pattern import covers, locate, matches
from buildperm.rules.variables import looks_secret
from buildperm.tracer.notation import encode
from buildperm.tracer.recording import reader
from buildperm.tracer.recording.event import FileOpened

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from buildperm.cargo.compile_markers import Marker

_OWN_FOLDERS = re.compile(rb"/proc/(?:self|thread-self)(?:/task/[0-9]+)?/(root|cwd)/")
"""What a compiler may call a folder of everybody's by."""


def outside(marker: Marker, root: Path, target: bytes, allowed: Mapping[bytes, int]) -> list[bytes]:
    """List the files that rustc says it has read, and that no compilation may read unasked.

    Args:
        marker: Of the compilation.
        root: Of the workspace; rustc is called there for its packages.
        target: The target directory.
        allowed: What needs no grant.
    """
    if not marker.dep_info or marker.status:
        return []  # What is there is of an earlier compilation.
    told = dep_info.listed(Path(os.fsdecode(marker.dep_info)), root)
    paths = sorted({os.path.realpath(os.fsencode(path)) for path in told})
    return [
        path
        for path in paths
        if not covers(target, path) and not may_read(path, allowed) and os.path.lexists(path)
    ]


def refused(marker: Marker, root: Path, places: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    """List what the compilation was refused, without what is tried out of habit.

    A link in a package may lead anywhere: what counts is the file behind it.
    """
    found = []
    for how, named in marker.refused:
        path = _led_to(named, os.fsencode(root))
        text = locate(path, places)
        quiet = baseline.QUIET_WRITES if how == "write" else baseline.QUIET
        is_quiet = covers(places["TARGET_DIR"], path) or any(matches(each, text) for each in quiet)
        if not is_quiet:
            found.append((how, path))
    return found


def by_macros(recordings: Iterable[Path]) -> frozenset[bytes]:
    """Return the files that macros have read for a package, or tried to, by their recordings.

    Git's folder of a repository is one, whatever they read of it: macros name files of it to rustc
    that git itself did not read now, and one grant opens all of it.
    """
    events = (event for path in recordings for event in reader.read(path).events)
    return frozenset(_asked(each.path) for each in events if isinstance(each, FileOpened))


def without(paths: Iterable[bytes], asked: Collection[bytes]) -> list[bytes]:
    """Leave out the paths that macros are asked about; `asked` is of `by_macros`."""
    return [path for path in paths if _asked(path) not in asked]


def _asked(path: bytes) -> bytes:
    before, git, _ = path.partition(b"/.git/")
    return before + git


def _led_to(named: bytes, folder: bytes) -> bytes:
    """Return the file that a name leads a compiler to, which was called in `folder`.

    What is below `/proc/self` or in `/dev` would be another file here.
    """
    path = b"/" + os.path.join(folder, named).lstrip(b"/")
    while path.startswith((b"/proc/", b"/dev/")):
        path = os.path.normpath(path)
        found = _OWN_FOLDERS.match(path)
        if found is None:
            break
        start = b"/" if found[1] == b"root" else folder + b"/"
        path = start + path[found.end() :]
    if path.startswith((b"/proc/self/", b"/proc/thread-self/", b"/dev/")):
        return path
    return os.path.realpath(path)


def variables(marker: Marker, granted: Collection[str]) -> list[bytes]:
    """List the variables that a compilation got although they look secret, or by a grant."""
    if not marker.dep_info or marker.status:
        return []
    asked = dep_info.variables(Path(os.fsdecode(marker.dep_info)))
    return [name for name in asked if looks_secret(encode(name)) or encode(name) in granted]
