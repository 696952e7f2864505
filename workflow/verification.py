"""The verifying run: only the scripts concerned, under the grants as they would be."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildperm.cargo.rerun import RerunResult
from buildperm.cargo.supervised_build import SupervisedBuild
from buildperm.cargo.units import Unit
from buildperm.errors import BuildpermError
from buildperm.policy import manifest
from buildperm.policy.fold import fold
from buildperm.policy.proposal import Proposal
from buildperm.presentation.front_end import Failure
from buildperm.supervisor import session as sessions
from buildperm.tracer.notation import encode
from buildperm.tracer.recording import reader
from buildperm.workflow.build_outcome import granted, propose
from buildperm.workflow.workspace import Workspace

if TYPE_CHECKING:
    from buildperm.supervisor.session import Session, SessionPackage

_TAIL = 6  # Lines of a failing script's output that are shown.


@dataclass(frozen=True, slots=True)
class Verification:
    """Runs recorded scripts again and says which of them fail."""

    workspace: Workspace
    build: SupervisedBuild  # That recorded the units.
    units: Sequence[Unit]

    def run(
        self, after: bytes, known: frozenset[str], progress: Callable[[int, int, str], bool]
    ) -> list[Failure]:
        """Run every script whose grants `after` changes again, held to the new grants.

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
        concerned = [unit for unit in self.units if self._is_concerned(unit, session)]
        reruns = [self.build.rerun(unit, path) for unit in concerned]
        repeated: dict[int, RerunResult] = {}
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            running = {pool.submit(rerun.run): number for number, rerun in enumerate(reruns)}
            try:
                for done in as_completed(running):
                    number = running[done]
                    repeated[number] = done.result()
                    package = session["packages"][concerned[number].package]
                    if not progress(len(repeated), len(reruns), package["crate"]):
                        return []
            finally:
                for waiting in running:
                    waiting.cancel()
                for rerun in reruns:
                    rerun.interrupt()
        failures = (
            self._failure(
                session["packages"][unit.package],
                reader.read(unit.recording).end.exit == 0,
                repeated[number],
                known,
            )
            for number, unit in enumerate(concerned)
        )
        return [failure for failure in failures if failure is not None]

    def _is_concerned(self, unit: Unit, session: Session) -> bool:
        before, now = (each["packages"][unit.package] for each in (self.build.session, session))
        return (granted(before), before["deny"]) != (granted(now), now["deny"])

    def _failure(
        self,
        package: SessionPackage,
        passed_before: bool,
        repeated: RerunResult,
        known: frozenset[str],
    ) -> Failure | None:
        missing: tuple[Proposal, ...] = ()
        if repeated.recording is not None:
            missing = tuple(propose(package, fold(reader.read(repeated.recording))))
        new = tuple(proposal for proposal in missing if proposal.id not in known)
        if repeated.interrupted:
            raise BuildpermError("the verifying run was interrupted")
        if new:
            sentence = "needs more than what is granted so far"
        elif repeated.exit_code != 0 and (passed_before or not missing):
            said = [encode(line.encode()) for line in repeated.output.splitlines() if line.strip()]
            sentence = f"fails with exit code {repeated.exit_code}: " + " / ".join(said[-_TAIL:])
        else:
            return None
        return Failure(package["crate"], package["version"], sentence, new)
