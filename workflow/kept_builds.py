"""What the last builds on this machine did, from the recordings that they left; builds nothing."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from buildperm.cargo import rerun
from buildperm.cargo.cargo_process import CargoResult
from buildperm.cargo.held_packages import HeldPackages
from buildperm.cargo.supervised_build import SupervisedBuild
from buildperm.cargo.target_directory import TargetDirectory
from buildperm.policy.access import Access
from buildperm.policy.combination import combine
from buildperm.policy.fold import fold
from buildperm.tracer.recording import reader
from buildperm.tracer.recording.reader import RecordingError
from buildperm.workflow.build_outcome import BuildOutcome
from buildperm.workflow.source_search import CrateSources, sources_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildperm.cargo.units import Unit
    from buildperm.supervisor.session import SessionPackage
    from buildperm.workflow.workspace import Workspace

_PROFILES: tuple[Literal["learning", "enforcing"], ...] = ("learning", "enforcing")


@dataclass(frozen=True, slots=True)
class KeptBuild:
    """What one target directory keeps of the builds in it."""

    workspace: Workspace
    held: HeldPackages
    outcome: BuildOutcome  # As if the recorded runs had been one build.


@dataclass(frozen=True, slots=True)
class KeptCrate:
    """What one package was seen doing in all kept builds together."""

    package: SessionPackage  # As today's grants hold it.
    consumers: frozenset[str]  # See `cargo.held_packages`.
    accesses: tuple[Access, ...]
    sources: CrateSources  # Where the code that did it is written.


def kept_builds(workspaces: Iterable[Workspace], folder: Path | None = None) -> list[KeptBuild]:
    """Find what `learn`, `review`, `ci` and plain Cargo have left in target directories.

    With `folder`, only the run in it counts.

    Raises:
        BuildpermError: What this machine can hold does not fit, or a folder cannot be read.
    """
    found: list[KeptBuild] = []
    known: set[Path] = set()
    for workspace in workspaces:
        project, policy = workspace.project, workspace.policy
        builds = [SupervisedBuild(project, policy, profile) for profile in _PROFILES]
        own = TargetDirectory(project.metadata.target_directory)
        if own.state.is_dir():  # Plain Cargo was held there: always on.
            builds.append(SupervisedBuild(project, policy, "enforcing", target=own))
        for build in builds:
            units = tuple(
                unit
                for unit in build.kept()
                if unit.folder not in known and folder in (None, unit.folder)
            )
            known.update(unit.folder for unit in units)
            failed = any(unit.status for unit in units)
            finished = CargoResult(
                exit_code=int(failed),
                interrupted=False,
                units=frozenset(unit.folder for unit in units),
                ran=frozenset(),
                overwritten=frozenset(),
                unended=(),
                unheld=(),
                artifacts=frozenset(),
                is_complete=False,
            )
            held = HeldPackages(workspace.project, workspace.policy, build.session)
            found.append(KeptBuild(workspace, held, BuildOutcome(build, finished, units, ())))
    return found


def kept_crates(builds: Iterable[KeptBuild], warn: Callable[[str], None]) -> list[KeptCrate]:
    """Put together what each package did, by key and version.

    `warn` gets a line about each recording that cannot be used.
    """
    packages: dict[bytes, tuple[SessionPackage, frozenset[str], CrateSources]] = {}
    seen: dict[bytes, list[list[Access]]] = {}
    for build in builds:
        for folder, accesses in _accesses(build, warn):
            if folder not in packages:
                sources = sources_of(build.workspace.project.metadata, folder, {})
                packages[folder] = build.held.of(folder), build.held.consumers(folder), sources
            seen.setdefault(folder, []).append(accesses)
    found = [
        KeptCrate(package, consumers, tuple(combine(seen[folder])), sources)
        for folder, (package, consumers, sources) in packages.items()
    ]
    return sorted(found, key=lambda each: (each.package["crate"], each.package["version"]))


def keep_verified(build: KeptBuild, crates: Collection[tuple[str, str]]) -> None:
    """Keep what a verifying run of these crates has shown beside what was recorded before."""
    for unit in build.outcome.units:
        package = build.held.of(unit.package)
        shown = rerun.recording(build.outcome.build.scratch(unit))
        if (package["crate"], package["version"]) in crates and shown.is_file():
            kept = _verified(unit)
            with suppress(OSError):  # Then a build has to show it once more.
                shutil.copyfile(shown, kept)


def _verified(unit: Unit) -> Path:
    return unit.recording.with_name("verified.jsonl")


def _accesses(
    build: KeptBuild, warn: Callable[[str], None]
) -> Iterator[tuple[bytes, list[Access]]]:
    for unit in build.outcome.units:
        try:
            yield unit.package, fold(reader.read(unit.recording), build.held.members)
            if _is_newer(_verified(unit), unit.recording):
                yield unit.package, fold(reader.read(_verified(unit)), build.held.members)
        except RecordingError as error:
            warn(str(error.args[0]))


def _is_newer(path: Path, than: Path) -> bool:
    try:
        return path.stat().st_mtime_ns > than.stat().st_mtime_ns
    except OSError:
        return False
