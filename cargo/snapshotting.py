"""Takes snapshots: puts together what a build has shown of each crate."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from buildperm.cargo.inputs import InputCollector
from buildperm.policy.role import SubjectKind
from buildperm.policy.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from buildperm.cargo.held_packages import HeldPackages
    from buildperm.cargo.project import Project
    from buildperm.policy.snapshot import SnapshotRun
    from buildperm.supervisor.session import Session


def take_snapshots(
    project: Project,
    session: Session,
    packages: HeldPackages,
    sightings: Mapping[bytes, Sequence[SnapshotRun]],
    sources: Mapping[Path, Sequence[Path]],
    *,
    complete: bool,
) -> Iterator[Snapshot]:
    """Yield a snapshot of each package that one build accounts for.

    Args:
        project: What was built.
        session: Under which it was recorded.
        packages: Those of the session.
        sightings: What each package was seen doing, by manifest directory.
        sources: The files that each package's script was compiled from, by manifest directory.
        complete: Cargo has built everything, so that what has no sightings takes no part.
    """
    subjects = {SubjectKind.SCRIPT}
    compiling = session.get("compile")
    if compiling and (compiling["mode"], compiling["macros"]) == ("hold", "outside"):
        subjects.add(SubjectKind.MACRO)  # Else nobody has seen what they do.
    words = shlex.join(project.arguments.words)
    ingredients = InputCollector(project.metadata, project.lock, session["places"])
    replaced = project.replaced
    everything = project.metadata.packages.values()
    for package in sorted(everything, key=lambda each: (each.name, each.version)):
        folder = os.fsencode(package.folder)
        seen = tuple(sightings.get(folder, ()))
        counts = set(package.subjects) & subjects
        if package.id in replaced:
            counts.discard(SubjectKind.SCRIPT)  # Nobody has seen what it does elsewhere.
        if package.comes_with_rust or not (seen or (complete and counts)):
            continue
        yield Snapshot(
            crate=packages.of(folder)["crate"],
            version=package.version,
            source=package.source,
            inputs=ingredients.inputs(package, sources.get(package.folder, ())),
            commands={words: package.features},
            sightings=seen,
        )
