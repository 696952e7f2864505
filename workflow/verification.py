"""The verifying run: what is concerned, and only that, under the grants as they would be."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from concurrent.futures import TimeoutError as NotYetError
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildperm.cargo.held_packages import HeldPackages
from buildperm.cargo.rerun import RerunResult
from buildperm.cargo.supervised_build import SupervisedBuild, SupervisedBuildResult
from buildperm.cargo.units import Unit
from buildperm.errors import BuildpermError
from buildperm.policy import manifest
from buildperm.policy.combination import combine
from buildperm.policy.fold import fold
from buildperm.policy.grants import Policy
from buildperm.policy.proposal import Proposal
from buildperm.policy.role import SubjectKind
from buildperm.policy.undecided_accesses import is_unlisted, unopened
from buildperm.presentation.front_end import Failure
from buildperm.printable import printable
from buildperm.supervisor import session as sessions
from buildperm.tracer.recording import reader
from buildperm.workflow.build_outcome import BuildOutcome, granted, propose, rules, wider
from buildperm.workflow.workspace import Workspace

if TYPE_CHECKING:
    from buildperm.supervisor.session import SessionPackage

_TAIL = 6  # Lines of a failing script's output that are shown.
_TICK_S = 0.2  # How often a build is asked whether anybody still waits for it.
_PANIC = re.compile(r"thread '.*' (?:\(\d+\) )?panicked at ")
_NO_WORDS = re.compile(  # What is said for Cargo, and what std says of a panic besides.
    r"cargo:|stack backtrace:|note: (?:run with `RUST_BACKTRACE|[Ss]ome details are omitted)"
    r"|\s+[0-9]+: +\S|\s+at \S.*:[0-9]+(?::[0-9]+)?\s*\Z"
)
_BUILD = "what has to be built again"


@dataclass(frozen=True, slots=True)
class Verification:
    """Runs what was recorded again and says what of it fails."""

    workspace: Workspace
    before: Policy  # The grants under which it was recorded.
    outcome: BuildOutcome

    @property
    def build(self) -> SupervisedBuild:
        """Return the build that recorded the units."""
        return self.outcome.build

    def run(
        self, after: bytes, known: frozenset[str], progress: Callable[[int, int, str], bool]
    ) -> list[Failure]:
        """Run everything whose grants `after` changes again, held to the new grants.

        A build script runs by itself. Macros only run in a compiler: Cargo builds again what they
        are used in, and whatever compiling is concerned, under the learning profile.

        Args:
            after: Cargo.toml as it would be.
            known: Ids of the proposals that a person has seen; whatever is refused of those was
                decided so.
            progress: Is called after each script; tells whether to go on.

        Raises:
            BuildpermError: They cannot be run.
        """
        policy = manifest.read(after, self.workspace.manifest_path)
        path = self.build.other_session(policy, "enforcing", "verify")
        session = sessions.load(os.fsencode(path))
        held = HeldPackages(self.workspace.project, policy, session)
        concerned = list(self._concerned(held))
        scripts = [unit for unit in concerned if unit.subject == SubjectKind.SCRIPT]
        others = {unit.package for unit in concerned if unit.subject != SubjectKind.SCRIPT}
        reruns = [self.build.rerun(unit, path) for unit in scripts]
        total = len(reruns) + bool(others)
        repeated: dict[int, RerunResult] = {}
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            running = {pool.submit(rerun.run): number for number, rerun in enumerate(reruns)}
            try:
                for done in as_completed(running):
                    number = running[done]
                    repeated[number] = done.result()
                    package = session["packages"][scripts[number].package]
                    if not progress(len(repeated), total, package["crate"]):
                        return []
            finally:
                for waiting in running:
                    waiting.cancel()
                for rerun in reruns:
                    rerun.interrupt()
        failures = [
            self._failure(
                session["packages"][unit.package],
                reader.read(unit.recording).end.exit == 0,
                repeated[number],
                known,
            )
            for number, unit in enumerate(scripts)
        ]
        if others:
            failures += self._built_again(policy, others, known, (len(reruns), total, progress))
        return [failure for failure in failures if failure is not None]

    def _concerned(self, now: HeldPackages) -> Iterator[Unit]:
        """Yield the units whose package is granted something else than when they ran."""
        before = HeldPackages(self.workspace.project, self.before, self.build.session)
        for unit in self.outcome.units:
            folder = unit.package
            was, will_be = before.of(folder), now.of(folder)
            if (granted(was), was["deny"], before.consumers(folder)) != (
                granted(will_be),
                will_be["deny"],
                now.consumers(folder),
            ):
                yield unit

    def _built_again(
        self,
        policy: Policy,
        packages: Collection[bytes],
        known: frozenset[str],
        at: tuple[int, int, Callable[[int, int, str], bool]],
    ) -> list[Failure | None]:
        """Build again, and look at what these packages do now."""
        done, total, progress = at
        said = bytearray()
        build = SupervisedBuild(self.workspace.project, policy, "learning", on_output=said.extend)
        result = _followed(build, lambda: progress(done, total, _BUILD))
        if result is None:
            return []
        if result.finished.interrupted:
            raise BuildpermError("the verifying build was interrupted")
        held = HeldPackages(self.workspace.project, policy, build.session)
        found: list[Failure | None] = []
        for folder in sorted(packages):
            package = held.of(folder)
            accesses = combine(
                fold(reader.read(unit.recording), held.members)
                for unit in result.units
                if unit.package == folder
            )
            missing = propose(package, accesses, held.consumers(folder))
            new = tuple(proposal for proposal in missing if proposal.id not in known)
            if new:
                sentence = "needs more than what is granted so far"
                found.append(Failure(package["crate"], package["version"], sentence, new))
        broke = result.finished.exit_code != 0 and self.outcome.finished.exit_code == 0
        if broke and not found:
            package = held.of(min(packages))
            sentence = f"makes Cargo fail: {said_last(said.decode('utf-8', 'replace'))}"
            found.append(Failure(package["crate"], package["version"], sentence))
        progress(total, total, _BUILD)
        return found

    def _failure(
        self,
        package: SessionPackage,
        passed_before: bool,
        repeated: RerunResult,
        known: frozenset[str],
    ) -> Failure | None:
        missing: list[Proposal] = []
        unlisted: list[str] = []  # Targets.
        if repeated.recording is not None:
            accesses = fold(reader.read(repeated.recording))
            missing = propose(package, accesses)
            refused = unopened(accesses, rules(granted(package)), rules(package["deny"]))
            unlisted = [each.target for each in refused if is_unlisted(each)]
            if repeated.exit_code != 0:
                missing += wider(package, accesses)
        new = tuple(proposal for proposal in missing if proposal.id not in known)
        if repeated.interrupted:
            raise BuildpermError("the verifying run was interrupted")
        if new:
            sentence = "needs more than what is granted so far"
        elif unlisted:
            sentence = (
                f"cannot list {printable(unlisted[0])} though that is granted, as a closed folder "
                "is in it: grant the folders beside it, or use the runtime `full`"
            )
        elif repeated.exit_code != 0 and (passed_before or not missing):
            sentence = f"fails with exit code {repeated.exit_code}: {said_last(repeated.output)}"
        else:
            return None
        return Failure(package["crate"], package["version"], sentence, new, frozenset(unlisted))


def _followed(
    build: SupervisedBuild, is_awaited: Callable[[], bool]
) -> SupervisedBuildResult | None:
    """Run a build to its end; None once nobody waits for it any more.

    The kernel ends Cargo with the thread that runs it, and the thread ends with the build.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        running = pool.submit(build.run)
        try:
            while True:
                if not is_awaited():
                    return None
                try:
                    return running.result(timeout=_TICK_S)
                except NotYetError:
                    continue
        finally:
            if not running.done():
                build.interrupt()


def said_last(output: str) -> str:
    """Return on one line what a script said last; of a panic, where it was and its message."""
    everything = [line for line in output.splitlines() if line.strip()]
    lines = [line for line in everything if not _NO_WORDS.match(line)] or everything
    panics = [at for at, line in enumerate(lines) if _PANIC.match(line)]
    said = lines[panics[-1] :][:_TAIL] if panics else lines[-_TAIL:]
    return " / ".join(map(printable, said))
