"""The result of one enforced build: findings, the exit code, a patch that proposes grants."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from buildperm.cargo.held_packages import HeldPackages
from buildperm.cargo.project import LEARN
from buildperm.errors import ExitCode
from buildperm.policy import removal_proposals
from buildperm.policy.pending_review import Cause, Pending
from buildperm.policy.snapshot import Snapshot
from buildperm.report import findings, next_command
from buildperm.report.build_run import BuildRun, ScriptRun
from buildperm.report.finding import Finding, Level, Report
from buildperm.report.manifest_place import GrantLines, in_repository
from buildperm.sandbox.runtime import runtime
from buildperm.workflow.build_outcome import BuildOutcome, how_compiling_is_held
from buildperm.workflow.failure_search import failure_of
from buildperm.workflow.workspace import Workspace

Snapshots = Mapping[tuple[str, str], Snapshot]


class Enforcement:
    """Appraises one `buildperm ci`."""

    def __init__(
        self,
        workspace: Workspace,
        snapshots: Snapshots,
        *,
        is_warning: bool,
        other_findings: tuple[Finding, ...] = (),
        words: Sequence[str] = (),
    ) -> None:
        """Begin with what is known before anything is built.

        Args:
            workspace: What is built.
            snapshots: What build scripts were seen doing when they were reviewed.
            is_warning: Findings do not fail the command.
            other_findings: What else is to be reported.
            words: For Cargo, as they were given; none for those of `ci`.
        """
        self._words = words
        self._workspace = workspace
        self._snapshots = snapshots
        self._level = Level.WARNING if is_warning else Level.ERROR
        self._places = GrantLines(workspace.manifest, workspace.manifest_path)
        self._pending: tuple[Pending, ...] = ()
        self._unseen: tuple[Pending, ...] = ()  # Not seen to run but in this very build.
        self._other_findings = other_findings

    def has_unreviewed(self) -> bool:
        """Find the build scripts that were not reviewed as they are now; tell whether any exist.

        Raises:
            BuildpermError: It cannot be found out.
        """
        from buildperm.cargo.pending_search import pending  # Only now: nobody else asks.

        project, policy = self._workspace.project, self._workspace.policy
        own = self._own
        reviewed = {words for each in self._snapshots.values() for words in each.commands}
        if own in reviewed or own in policy.contexts:
            self._pending = tuple(pending(project, policy, self._snapshots))
            if own not in policy.contexts:  # A review without words does not build this.
                self._unseen, self._pending = self._pending, ()
            return self._is_pending
        # This build is not the reviewed one, such as `build` where `check` was reviewed. A script
        # counts as reviewed if nothing else differs.
        words = policy.contexts[0] if policy.contexts else shlex.join(LEARN)
        for each in pending(project, policy, self._snapshots, words=words):
            causes = tuple(cause for cause in each.causes if cause[0] is not Cause.CONTEXT)
            if causes:
                self._pending += (replace(each, causes=causes),)
        # A script that did not run there may run here, and nobody has seen it run.
        unseen = {key for key, snapshot in self._snapshots.items() if not snapshot.sightings}
        if unseen:
            known = {(each.crate, each.version) for each in self._pending}
            for each in pending(project, policy, self._snapshots, words=own):
                key = each.crate, each.version
                self._unseen += (each,) if key in unseen - known else ()
        return self._is_pending

    @property
    def _own(self) -> str:
        return shlex.join(self._workspace.project.arguments.words)

    @property
    def _is_pending(self) -> bool:
        return bool(self._pending or self._unseen)

    def not_built(self) -> Report:
        """Report that nothing was built because something was not reviewed."""
        return self._report(None, self._not_reviewed(), ExitCode.NOT_REVIEWED)

    def report(self, outcome: BuildOutcome, *, deny_unused: bool) -> Report:
        """Report what came of a build."""
        run = _run(outcome, self._workspace)
        found = [
            *findings.from_build(run, self._places, level=self._level),
            *self._not_reviewed(),
            *findings.from_young(self._workspace.young_packages(), self._places),
        ]
        exit_code = run.cargo_exit
        if run.offenders and self._level is Level.ERROR:
            exit_code = ExitCode.REFUSED
        # A build that failed may not have reached the script that uses a grant.
        unused = list(self._unused(outcome)) if deny_unused and run.cargo_exit == 0 else []
        unmet = self._unmet()
        if deny_unused:
            unused += unmet
        elif unmet:
            found += findings.from_unused(unmet, self._places)
        if unused:
            command = next_command.prune(self._words)
            found += findings.from_unused(unused, self._places, level=self._level, command=command)
            if exit_code == 0 and self._level is Level.ERROR:
                exit_code = ExitCode.UNUSED
        told = [(crate, grant) for crate, _, grants in unused for grant in sorted(grants)]
        return self._report(run, found, exit_code, told)

    def patch(self, outcome: BuildOutcome) -> bytes:
        """Return a patch of Cargo.toml that proposes what was refused.

        Raises:
            BuildpermError: Cargo.toml cannot hold it.
        """
        from buildperm.report.patch import patch  # Only now: most commands write none.

        path = self._workspace.manifest_path
        asked = [proposal for script in outcome.scripts for proposal in script.findings]
        return patch(self._workspace.manifest, asked, path, in_repository(path))

    def _not_reviewed(self) -> list[Finding]:
        level, places = self._level, self._places
        command = next_command.review(self._workspace.project.arguments.words)
        return [
            *findings.from_pending(self._pending, places, level=level),
            *findings.from_pending(self._unseen, places, level=level, command=command),
        ]

    def _unmet(self) -> list[tuple[str, str, frozenset[str]]]:
        """Return crates whose macros are granted something for packages that are not there."""
        workspace = self._workspace
        locked = [
            (each.name, each.version, each.source) for each in workspace.project.lock.packages
        ]
        unmet = removal_proposals.unmet(workspace.policy, locked)
        return [(key, "", frozenset({f"for:{name}"})) for key, name in unmet]

    def _unused(self, outcome: BuildOutcome) -> Iterator[tuple[str, str, frozenset[str]]]:
        """Yield crate, versions and grants where nothing uses the grants."""
        scripts: dict[str, list[ScriptRun]] = {}
        for script in outcome.scripts:
            scripts.setdefault(script.crate, []).append(script)
        for key, grants in sorted(self._workspace.policy.crates.items()):
            here = scripts.get(key, [])
            if any(script.failed or script.failure or script.dropped for script in here):
                continue  # The missing part may be what the grant is for.
            unused = removal_proposals.unused(
                grants,
                [access for script in here for access in script.everything],
                [
                    seen
                    for (crate, _), snapshot in self._snapshots.items()
                    if crate == key
                    for sighting in snapshot.sightings
                    for seen in sighting.seen
                ],
            )
            if unused:
                yield key, ", ".join(script.version for script in here), unused

    def _report(
        self,
        run: BuildRun | None,
        found: list[Finding],
        exit_code: int,
        unused: list[tuple[str, str]] | None = None,
    ) -> Report:
        return Report(
            run=run,
            findings=(*found, *self._other_findings),
            workspace=self._workspace.name,
            manifest=in_repository(self._workspace.manifest_path),
            exit_code=int(exit_code),
            members=self._workspace.project.metadata.member_names(),
            pending=(*self._pending, *self._unseen),
            unused=tuple(unused or ()),
            command=next_command.again("buildperm ci", self._words),
            home=self._places.home,
        )


def _run(outcome: BuildOutcome, workspace: Workspace) -> BuildRun:
    session = outcome.build.session
    held = HeldPackages(workspace.project, workspace.policy, session)
    compiling, macros, lacking = how_compiling_is_held(session)
    return BuildRun(
        runtime=session["runtime"],
        landlock_abi=session["landlock_abi"],
        kernel=session["kernel"],
        left_open=runtime(session["runtime"]).left_open(session["landlock_abi"]),
        scripts=outcome.scripts,
        cargo_exit=outcome.finished.exit_code,
        compiling=compiling,
        macros=macros,
        lacking=lacking,
        failure=failure_of(outcome, workspace, held, outcome.scripts),
        root=session["root"]["digest"] if "root" in session else "",
    )
