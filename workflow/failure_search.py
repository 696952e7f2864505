"""Finds out why Cargo failed, from what compilers and build scripts have left, not from its words.

What Cargo prints is mixed with what scripts and macros print, who could say anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from buildperm.policy.access import Outcome
from buildperm.policy.role import NOBODY, SubjectKind
from buildperm.policy.undecided_accesses import is_habit
from buildperm.report.build_failure import BrokenPackage, BrokenStep, BuildFailure, HabitRefusal
from buildperm.workflow import missing_packages

if TYPE_CHECKING:
    from buildperm.cargo.held_packages import HeldPackages
    from buildperm.report.build_run import ScriptRun
    from buildperm.workflow.build_outcome import BuildOutcome
    from buildperm.workflow.workspace import Workspace

_SCRIPT = "build_script_"  # How rustc calls the crate of a build script; Cargo's own prefix.


def failure_of(
    outcome: BuildOutcome, workspace: Workspace, held: HeldPackages, runs: Iterable[ScriptRun]
) -> BuildFailure | None:
    """Say why a build failed; None if it did not, or was interrupted.

    Args:
        outcome: How it ended.
        workspace: What was built.
        held: What its session holds each package to.
        runs: What ran in it did.
    """
    finished = outcome.finished
    if finished.interrupted or not finished.exit_code:
        return None
    search = _Search(workspace, held, runs)
    broken = {
        search.broken(
            folder, BrokenStep.COMPILE_SCRIPT if crate.startswith(_SCRIPT) else BrokenStep.COMPILE
        )
        for folder, crate in outcome.uncompiled
    }
    broken |= {
        search.broken(unit.package, BrokenStep.RUN_SCRIPT)
        for unit in outcome.units
        if unit.subject == SubjectKind.SCRIPT and unit.status
    }
    ran = {(unit.package, unit.subject) for unit in outcome.units}
    not_run = [
        f"{held.of(folder)['crate']} {package.version}"
        for package in workspace.project.metadata.reviewed()
        if (folder := os.fsencode(package.folder))
        and not any((folder, str(subject)) in ran for subject in package.subjects)
    ]
    return BuildFailure(
        finished.exit_code,
        tuple(sorted(broken)),
        tuple(sorted(not_run)),
        search.was_refused,
        missing_packages.find(outcome, runs),
        search.habits,
    )


def united(failures: Iterable[BuildFailure | None]) -> BuildFailure | None:
    """Put the failures of several builds together; the exit code is that of the first."""
    found = [each for each in failures if each is not None]
    if not found:
        return None
    packages = {package for each in found for package in each.packages}
    not_run = {name for each in found for name in each.not_run}
    return BuildFailure(
        found[0].exit_code,
        tuple(sorted(packages)),
        tuple(sorted(not_run)),
        any(each.was_refused for each in found),
        tuple(dict.fromkeys(missing for each in found for missing in each.missing)),
        tuple(sorted({habit for each in found for habit in each.habits})),
    )


class _Search:
    """Tells whether something was refused that may be why a package could not be built."""

    def __init__(self, workspace: Workspace, held: HeldPackages, runs: Iterable[ScriptRun]) -> None:
        self._metadata = workspace.project.metadata
        self._held = held
        self._refused: set[tuple[str, str]] = set()  # Keys and versions.
        self._consumers: set[str] = set()  # Keys of packages in which macros were refused it.
        # Likewise, of what programs mostly do without.
        self._habits: dict[tuple[str, str], set[HabitRefusal]] = {}
        self._habits_for: dict[str, set[HabitRefusal]] = {}
        self._by_system: dict[tuple[str, str], set[str]] = {}
        for run in runs:
            refused = [each for each in run.everything if each.outcome is Outcome.REFUSED]
            roles = {role for access in refused if not is_habit(access) for role in access.roles}
            for access in filter(is_habit, refused):
                habit = HabitRefusal(run.crate, f"{access.kind}:{access.target}")
                self._habits.setdefault((run.crate, run.version), set()).add(habit)
                for consumer in {role.consumer for role in access.roles if role.consumer}:
                    self._habits_for.setdefault(consumer, set()).add(habit)
            found = {
                f"{each.kind} {each.target} ({each.refused_by_system})"
                for each in run.everything
                if each.refused_by_system and not each.sensitive
            }
            if found and run.failed:
                self._by_system[run.crate, run.version] = found
            roles |= set(run.roles if run.failure else ())
            if roles:
                self._refused.add((run.crate, run.version))
            self._consumers |= {role.consumer for role in roles if role.consumer}

    @property
    def was_refused(self) -> bool:
        return bool(self._refused)

    @property
    def habits(self) -> tuple[HabitRefusal, ...]:
        return tuple(sorted({habit for each in self._habits.values() for habit in each}))

    def broken(self, folder: bytes, step: BrokenStep) -> BrokenPackage:
        """Describe a package; what it depends on makes things for it, or fails to."""
        package = self._held.of(folder)
        crate, version = package["crate"], package["version"]
        packages = self._metadata.packages
        below = [packages[each] for each in self._metadata.below(package["id"])]
        others = (self._held.of(os.fsencode(each.folder)) for each in below)
        concerned = {(crate, version), *((each["crate"], each["version"]) for each in others)}
        was_refused = bool(concerned & self._refused) or bool({crate, NOBODY} & self._consumers)
        habits = self._habits.get((crate, version), set()) | self._habits_for.get(crate, set())
        by_system = self._by_system.get((crate, version), set())
        return BrokenPackage(
            crate, version, step, was_refused, tuple(sorted(habits)), tuple(sorted(by_system))
        )
