"""One run of a build script, as far as two runs can be compared: what it left, printed and did."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildperm.policy.fold import fold
from buildperm.tracer.notation import encode
from buildperm.tracer.recording import reader
from buildperm.tracer.recording.event import DirectivePrinted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from buildperm.cargo.rerun import Rerun
    from buildperm.policy.access import Access

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class RunEffects:
    """How one run went."""

    exit_code: int
    interrupted: bool
    is_recorded: bool  # Otherwise there are no directives and no accesses.
    failure: str  # Why buildperm failed it; empty if it did not.
    output: str  # All that it said, directives included.
    files: dict[str, str]  # What lies in OUT_DIR, in notation, and what it is like.
    directives: tuple[str, ...]  # KEY=VALUE in notation, in the order of their first occurrence.
    accesses: tuple[Access, ...]


def observe(rerun: Rerun) -> RunEffects:
    """Run a script again, and read what it leaves before the next run replaces it.

    Raises:
        BuildpermError: It cannot be run.
    """
    repeated = rerun.run()
    found = reader.read(repeated.recording) if repeated.recording else None
    return RunEffects(
        repeated.exit_code,
        repeated.interrupted,
        found is not None,
        found.end.failure if found else "",
        repeated.output,
        dict(_files(rerun.out_dir)),
        tuple(
            f"{event.key}={event.value}"
            for event in (found.events if found else ())
            if isinstance(event, DirectivePrinted)
            for _ in range(event.count)
        ),
        tuple(fold(found)) if found else (),
    )


def _files(out_dir: Path) -> Iterator[tuple[str, str]]:
    """Yield everything below OUT_DIR; links are not followed, and nothing but files is opened."""
    top = os.fsencode(out_dir)
    pending = [top]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    about = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(about.st_mode):
                        pending.append(entry.path)
                    yield encode(entry.path[len(top) + 1 :]), _like(entry.path, about)
        except OSError:
            continue  # Too deep, or closed to everybody: the run has failed for that.


def _like(path: bytes, about: os.stat_result) -> str:
    mode = about.st_mode
    if stat.S_ISLNK(mode):
        return f"link to {encode(os.readlink(path))}"
    if stat.S_ISDIR(mode):
        return "folder"
    if not stat.S_ISREG(mode):
        return "neither file nor folder"
    executable = ", executable" if mode & stat.S_IXUSR else ""
    return f"{about.st_size} bytes, sha256 {_digest(path)}{executable}"


def _digest(path: bytes) -> str:
    digest = hashlib.sha256()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return "unknown"
    with open(descriptor, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
