"""What ran in a build of a workspace did, in every context that was asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo.dep_info import dep_files
from buildperm.cargo.held_packages import HeldPackages
from buildperm.cargo.script_progress import ScriptEnded
from buildperm.cargo.snapshotting import take_snapshots
from buildperm.cargo.supervised_build import SupervisedBuild
from buildperm.cargo.units import Unit
from buildperm.errors import BuildpermError
from buildperm.policy.access import Access
from buildperm.policy.combination import combine, stable
from buildperm.policy.fold import fold, role_of
from buildperm.policy.grants import Policy
from buildperm.policy.proposal import Proposal
from buildperm.policy.role import SubjectKind
from buildperm.policy.snapshot import Context, Snapshot, SnapshotRun
from buildperm.policy.snapshots import by_context, seen
from buildperm.presentation.build_viewer import BuildListener, BuildViewer
from buildperm.report.build_failure import BuildFailure
from buildperm.report.build_run import ScriptRun
from buildperm.tracer.notation import encode
from buildperm.tracer.recording import reader
from buildperm.tracer.recording.reader import Recording
from buildperm.workflow.build_outcome import (
    BuildOutcome,
    appraise,
    dependency_paths,
    proposals_of,
    rules,
    unfinished_packages,
)
from buildperm.workflow.failure_search import failure_of, united
from buildperm.workflow.workspace import Workspace

if TYPE_CHECKING:
    from buildperm.supervisor.session import Session, SessionPackage

CrateVersion = tuple[str, str]
"""Key in Cargo.toml, and version."""


@dataclass(frozen=True, slots=True)
class RecordedScript:
    """Everything that one package did in all contexts together."""

    package: SessionPackage  # Its entry in the session that it ran under last.
    run: ScriptRun
    accesses: tuple[Access, ...]
    consumers: frozenset[str] = frozenset()  # Those that `for` names: see `cargo.held_packages`.

    @property
    def crate(self) -> CrateVersion:
        """Return its key and version."""
        return self.run.crate, self.run.version


@dataclass(frozen=True, slots=True)
class RecordingRound:
    """One round of recording: a build in each context, until one is interrupted."""

    outcomes: tuple[BuildOutcome, ...]
    scripts: tuple[RecordedScript, ...]  # By crate and version.
    snapshots: Mapping[
        CrateVersion, Snapshot
    ]  # Of every build script that these builds say something about.
    files: Mapping[Path, tuple[Path, ...]]  # The sources of the scripts, by package folder.
    failure: BuildFailure | None = None  # Why Cargo failed in any of them; None where it did not.

    @property
    def interrupted(self) -> bool:
        """Whether a person has interrupted it."""
        return any(outcome.finished.interrupted for outcome in self.outcomes)

    @property
    def exit_code(self) -> int:
        """Return the first exit code of Cargo that is not 0, else 0."""
        return next((code for outcome in self.outcomes if (code := outcome.finished.exit_code)), 0)


def record(
    workspaces: Iterable[Workspace],
    policy: Policy,
    *,
    runs: int = 1,
    doubtful: Collection[str] = (),
    tell: Callable[[str], None],
    viewer: BuildViewer,
    heading: str,
    command: str = "",
) -> RecordingRound:
    """Build in each context under the learning profile.

    Args:
        workspaces: One for each context.
        policy: The current grants.
        runs: How often each script runs: more than once shows what is not stable.
        doubtful: Names of packages to compile again, even if Cargo takes them for fresh.
        tell: Gets a line on what happens besides the build.
        viewer: Shows the build while it runs.
        heading: What is built, for the viewer: the command and the workspace.
        command: The command of buildperm, for the recordings.

    Raises:
        BuildpermError: A build cannot be started, or a build script cannot be held.
    """
    gathering = _RoundBuilder()
    for workspace in workspaces:
        outcome = _build(workspace, policy, doubtful, viewer, heading, command)
        more = (
            _repeat(outcome, runs - 1, tell)
            if runs > 1 and not outcome.finished.interrupted
            else {}
        )
        gathering.add(workspace, outcome, policy, more)
        if outcome.finished.interrupted:
            break
    return gathering.recorded()


class _RoundBuilder:
    """Puts several builds together."""

    def __init__(self) -> None:
        self._builds: list[tuple[BuildOutcome, Workspace, HeldPackages]] = []
        self._packages: dict[CrateVersion, SessionPackage] = {}
        self._consumers: dict[CrateVersion, frozenset[str]] = {}
        self._ways: dict[str, tuple[str, ...]] = {}  # By Cargo's package ID.
        self._lost: set[CrateVersion] = set()  # A run of it has no recorded end.
        self._recordings: dict[CrateVersion, list[Recording]] = {}
        self._accesses: dict[CrateVersion, list[list[Access]]] = {}
        self._snapshots: dict[CrateVersion, Snapshot] = {}
        self._files: dict[Path, tuple[Path, ...]] = {}

    def add(
        self,
        workspace: Workspace,
        outcome: BuildOutcome,
        policy: Policy,
        more: Mapping[Path, Sequence[Recording]],
    ) -> None:
        session = outcome.build.session
        held = HeldPackages(workspace.project, policy, session)
        sightings: dict[bytes, list[SnapshotRun]] = {}
        for unit in outcome.units:
            crate = self._note(held, unit.package)
            recordings = [reader.read(unit.recording), *more.get(unit.folder, ())]
            accesses = stable([fold(each, held.members) for each in recordings])
            context = Context(
                unit.target, unit.profile, unit.features, role_of(recordings[0].header)
            )
            sighting = SnapshotRun(
                context, session["runtime"], seen(accesses, rules(held.of(unit.package)["deny"]))
            )
            if sighting.seen or context.role.subject is not SubjectKind.COMPILE:
                sightings.setdefault(unit.package, []).append(sighting)
            self._recordings.setdefault(crate, []).extend(recordings)
            self._accesses.setdefault(crate, []).append(accesses)
        lost = unfinished_packages(session, outcome.finished)
        self._lost.update(self._note(held, folder) for folder in lost)
        folders = {*lost, *(unit.package for unit in outcome.units)}
        ids = (held.of(folder)["id"] for folder in folders)
        self._ways |= dependency_paths(workspace, ids)
        self._builds.append((outcome, workspace, held))
        files = dep_files(outcome.build.target.folder, workspace.project.metadata)
        self._files |= files
        taken = take_snapshots(
            workspace.project,
            session,
            held,
            sightings,
            files,
            complete=outcome.finished.exit_code == 0,
        )
        for snapshot in taken:
            crate = snapshot.crate, snapshot.version
            known = self._snapshots.get(crate)
            self._snapshots[crate] = _united(known, snapshot) if known else snapshot

    def _note(self, held: HeldPackages, folder: bytes) -> CrateVersion:
        package = held.of(folder)
        crate = package["crate"], package["version"]
        self._packages[crate] = package
        self._consumers[crate] = held.consumers(folder)
        return crate

    def recorded(self) -> RecordingRound:
        scripts = []
        for crate, package in sorted(self._packages.items()):
            accesses = combine(self._accesses.get(crate, ()))
            recordings, way = self._recordings.get(crate, []), self._ways[package["id"]]
            consumers = self._consumers[crate]
            run = appraise(
                package,
                recordings,
                accesses,
                way,
                consumers=consumers,
                is_lost=crate in self._lost,
            )
            scripts.append(RecordedScript(package, run, tuple(accesses), consumers))
        runs = [script.run for script in scripts]
        failures = (failure_of(*build, runs) for build in self._builds)
        return RecordingRound(
            tuple(outcome for outcome, _, _ in self._builds),
            tuple(scripts),
            self._snapshots,
            self._files,
            united(failures),
        )


def _united(one: Snapshot, other: Snapshot) -> Snapshot:
    """Unite what two builds of one round saw of a build script, perhaps in the same context."""
    return replace(
        one,
        commands={**one.commands, **other.commands},
        sightings=by_context([*one.sightings, *other.sightings]),
    )


def _build(
    workspace: Workspace,
    policy: Policy,
    doubtful: Collection[str],
    viewer: BuildViewer,
    heading: str,
    command: str,
) -> BuildOutcome:
    known: list[tuple[Session, HeldPackages]] = []  # Once the build has begun.

    def appraised(step: ScriptEnded) -> tuple[Proposal, ...]:
        if step.recording is None or not known:
            return ()
        session, held_packages = known[0]
        return tuple(proposals_of(session, held_packages, step.recording))

    def build(listener: BuildListener) -> BuildOutcome:
        supervised = SupervisedBuild(
            workspace.project,
            policy,
            "learning",
            on_progress=listener.on_progress,
            on_output=listener.on_output,
            command=command,
        )
        session = supervised.session
        known.append((session, HeldPackages(workspace.project, policy, session)))
        scripts = [(each["crate"], each["version"]) for each in session["packages"].values()]
        listener.on_begin(scripts, supervised.interrupt)
        held = supervised.run(doubtful)
        return BuildOutcome(supervised, held.finished, held.units, (), held.uncompiled)

    return viewer.watch(heading, appraised, build)


def _repeat(
    outcome: BuildOutcome, times: int, tell: Callable[[str], None]
) -> dict[Path, list[Recording]]:
    """Run each script `times` more often; return the recordings by unit.

    Raises:
        BuildpermError: One of these runs left no recording, so nobody knows what it did.
    """
    units = [unit for unit in outcome.units if unit.subject == SubjectKind.SCRIPT]
    if not units:
        return {}
    tell(f"Running {len(units)} build scripts again, {times} times each.")

    def repeat(unit: Unit) -> list[Recording]:
        found = []
        for _ in range(times):
            repeated = outcome.build.rerun(unit, outcome.build.target.session).run()
            if repeated.recording is None:
                package = outcome.build.session["packages"][unit.package]
                raise BuildpermError(
                    f"the build script of {package['crate']} {package['version']} was run again "
                    f"and left no recording: {_last_line(repeated.output)}",
                    hint="Run the command again.",
                )
            found.append(reader.read(repeated.recording))
        return found

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        recordings = list(pool.map(repeat, units))
    return {unit.folder: found for unit, found in zip(units, recordings, strict=True)}


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    return encode(lines[-1].encode()) if lines else "it said nothing"
