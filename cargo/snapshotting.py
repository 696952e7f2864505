"""Takes snapshots: puts together what a build has shown of each build script."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from buildperm.cargo.inputs import InputCollector
from buildperm.policy.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from buildperm.cargo.project import Project
    from buildperm.policy.snapshot import SnapshotRun
    from buildperm.supervisor.session import Session


def take_snapshots(
    project: Project,
    session: Session,
    sightings: Mapping[bytes, Sequence[SnapshotRun]],
    sources: Mapping[Path, Sequence[Path]],
    *,
    complete: bool,
) -> Iterator[Snapshot]:
    """Yield a snapshot of each package that one build accounts for.

    Args:
        project: What was built.
        session: Under which it was recorded.
        sightings: What each package's script was seen doing, by manifest directory.
        sources: The files that each package's script was compiled from, by manifest directory.
        complete: Cargo has built everything, so that a script without sightings takes no part.
    """
    words = shlex.join(project.arguments.words)
    ingredients = InputCollector(project.metadata, project.lock, session["places"])
    for package in project.metadata.scripted():
        folder = os.fsencode(package.folder)
        seen = tuple(sightings.get(folder, ()))
        if not (seen or complete):
            continue
        yield Snapshot(
            crate=session["packages"][folder]["crate"],
            version=package.version,
            source=package.source,
            inputs=ingredients.inputs(package, sources.get(package.folder, ())),
            commands={words: package.features},
            sightings=seen,
        )
