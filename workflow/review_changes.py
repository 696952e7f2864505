"""What has changed since the last review: comparisons, and proposals that need no answer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from buildperm.cargo import source_versions
from buildperm.cargo.grant_keys import GrantKeys
from buildperm.cargo.metadata import Package
from buildperm.policy import reasons, removal_proposals, revision, undecided_accesses
from buildperm.policy.comparison import Comparison
from buildperm.policy.crate_request import told
from buildperm.policy.decision import Answer
from buildperm.policy.grants import Policy, key_for
from buildperm.policy.merging import is_settled
from buildperm.policy.pending_review import Pending
from buildperm.policy.proposal import Proposal, Reason
from buildperm.policy.review_state import Review
from buildperm.policy.role import SubjectKind
from buildperm.policy.snapshot import SeenAccess, Snapshot
from buildperm.policy.snapshots import compare, previous, seen
from buildperm.policy.version import sort_key
from buildperm.workflow.build_outcome import granted, propose, rules
from buildperm.workflow.recording_round import CrateVersion, RecordedScript, RecordingRound
from buildperm.workflow.workspace import Workspace

Prune = Literal["now", "later", "never"]


@dataclass(frozen=True, slots=True)
class ReviewChanges:
    """One round of recording, compared with the snapshots of the last review."""

    recorded: RecordingRound
    before: Mapping[CrateVersion, Snapshot]
    pending: Mapping[CrateVersion, Pending]
    policy: Policy
    prune: Prune
    workspace: Workspace
    is_first: bool  # Nothing was ever reviewed here, so nothing counts as new.

    def proposals(self) -> Iterator[Proposal]:
        """Yield what to show to a person, crate by crate, new build scripts first."""
        removals = self._removals()
        for crate, snapshot in self.recorded.snapshots.items():
            # There are many macros, and most of them are not used in any one build.
            has_script = (
                crate in self.pending and SubjectKind.SCRIPT in self.pending[crate].subjects
            )
            if has_script and not snapshot.sightings and not self.is_first:
                yield reasons.unrun(*crate, self.pending[crate].way, snapshot.commands)
        for script in self.ordered():
            package = self.workspace.project.metadata.packages.get(script.package["id"])
            request = package.request if package and package.source else None
            yield from (told(each, request) for each in script.run.findings)
            # Hardly a macro does anything, so those that do nothing are only counted.
            has_script = SubjectKind.SCRIPT in script.run.subjects
            if self.is_new(script) and not script.run.findings and has_script:
                is_plain = all(map(undecided_accesses.is_settled, script.accesses))
                yield reasons.newcomer(*script.crate, script.run.way, is_plain=is_plain)
            yield from self._covered(script)
            yield from self._dormant(script)
            yield from removals.pop(script.crate[0], ())
        for rest in removals.values():
            yield from rest

    def asked_before(self, unanswered: Iterable[Proposal]) -> Iterator[Proposal]:
        """Yield the unanswered questions of an earlier round that are still not granted.

        A build script did it once, even if it did not do it again.
        """
        scripts = {script.crate: script for script in self.recorded.scripts}
        for each in unanswered:
            script = scripts.get((each.crate, each.version))
            if script is None:
                yield each
                continue
            known = {finding.id for finding in script.run.findings}
            again = propose(script.package, each.evidence, script.consumers)
            yield from (proposal for proposal in again if proposal.id not in known)

    def settled(self) -> list[CrateVersion]:
        """Return the crates that ran well and ask for nothing."""
        return [
            script.crate
            for script in self.recorded.scripts
            if not (script.run.findings or is_incomplete(script))
        ]

    def comparisons(self) -> dict[CrateVersion, Comparison]:
        """Compare every script that is pending or has changed its behaviour."""
        return {
            script.crate: compared
            for script in self.ordered()
            if (compared := self._comparison(script)) is not None
        }

    def snapshots(self, review: Review, unsettled: Collection[CrateVersion]) -> Iterator[Snapshot]:
        """Yield what counts as reviewed now, with the grants that it did not use.

        Args:
            review: What has been decided.
            unsettled: Scripts that failed with these decisions.
        """
        kept = {
            (proposal.crate, key)
            for proposal in review.proposals
            if proposal.reason in (Reason.UNUSED, Reason.DORMANT)
            and review.decision(proposal.id).answer is Answer.ALLOW
            for key in removal_proposals.keys(proposal)
        }
        left = {
            (each.crate, each.version)
            for each in review.proposals
            if not is_settled(each, review.decision(each.id))
        }
        left.update(unsettled)
        left.update(script.crate for script in self.recorded.scripts if is_incomplete(script))
        unused = self._unused()
        unwanted = self._unwanted(review)
        for crate, snapshot in self.recorded.snapshots.items():
            if crate not in left:
                keys = {key for key in unused.get(crate[0], ()) if (crate[0], key) not in kept}
                sightings = (
                    replace(each, seen=each.seen - unwanted.get(crate, frozenset()))
                    for each in snapshot.sightings
                )
                yield replace(snapshot, sightings=tuple(sightings), unused=frozenset(keys))

    def _unwanted(self, review: Review) -> dict[CrateVersion, frozenset[SeenAccess]]:
        """Return what only programs wanted that are denied by now."""
        decided = review.grants(self.policy)
        found = {}
        for script in self.recorded.scripts:
            grants = decided.get(script.crate[0]) or self.policy.crates.get(script.crate[0])
            if grants is not None and grants.denials:
                rest = seen(script.accesses, grants.denials)
                found[script.crate] = seen(script.accesses) - rest
        return found

    def ordered(self) -> list[RecordedScript]:
        """Return the scripts, the most important first: those get the most attention."""
        return sorted(
            self.recorded.scripts,
            key=lambda script: (not self.is_new(script), -script.run.worst),
        )

    def is_new(self, script: RecordedScript) -> bool:
        """Tell whether no version of it was ever reviewed; the first time nothing counts as new."""
        known = previous(self.before, *script.crate)
        is_unknown = known is None or not known.sightings
        return not self.is_first and is_unknown and not self._comes_with_rust(script)

    def _comes_with_rust(self, script: RecordedScript) -> bool:
        package = self._package(script)
        return package is not None and package.comes_with_rust

    def _package(self, script: RecordedScript) -> Package | None:
        for outcome in self.recorded.outcomes:
            package = outcome.build.project.metadata.packages.get(script.package["id"])
            if package is not None:
                return package
        return None

    def _comparison(self, script: RecordedScript) -> Comparison | None:
        now = self.recorded.snapshots.get(script.crate)
        if now is None:
            return None  # No run of it has a recorded end.
        known = previous(self.before, *script.crate)
        new, gone, same = compare(known, now)
        found = self.pending.get(script.crate)
        if self.is_first or not (found or new or gone):
            return None
        changed, missing = self._sources(known, script)
        return Comparison(
            *script.crate,
            known.version if known else "",
            script.run.way,
            tuple(sentence for _, sentence in found.causes) if found else (),
            new,
            gone,
            same,
            changed,
            missing,
            script.run.subjects,
        )

    def _sources(self, known: Snapshot | None, script: RecordedScript) -> source_versions.Compared:
        package = self._package(script)
        if package is None:
            return (), ""
        return source_versions.compare(known, package, self.recorded.files.get(package.folder, ()))

    def _covered(self, script: RecordedScript) -> list[Proposal]:
        known, now = previous(self.before, *script.crate), self.recorded.snapshots.get(script.crate)
        if known is None or now is None:
            return []
        new, _, _ = compare(known, now)
        grants = self.policy.crates.get(script.crate[0])
        return reasons.covered(
            *script.crate,
            new,
            script.accesses,
            rules(granted(script.package)),
            rules(script.package["deny"]),
            grants.presets if grants else (),
        )

    def _dormant(self, script: RecordedScript) -> list[Proposal]:
        grants = self.policy.crates.get(script.crate[0])
        if grants is None:
            return []
        return reasons.dormant(*script.crate, grants, script.run.findings, script.run.source)

    def _removals(self) -> dict[str, list[Proposal]]:
        """Propose grants to remove, by key."""
        if self.prune == "never":
            return {}
        found: dict[str, list[Proposal]] = {}
        for key, unused in self._unused().items():
            before = self._unused_before(key)
            proposed = removal_proposals.proposed(unused, before, self.prune) - self._asked_about(
                key
            )
            versions = [version for crate, version in self.recorded.snapshots if crate == key]
            version = max(versions, key=sort_key)
            removals = removal_proposals.removals(key, version, self.policy.crates[key], proposed)
            if removals:
                found[key] = removals
        locked = [
            (each.name, each.version, each.source) for each in self.workspace.project.lock.packages
        ]
        for grants in removal_proposals.absent(self.policy, locked):
            found[grants.key] = [removal_proposals.gone(grants)]
        return found

    def _asked_about(self, key: str) -> frozenset[str]:
        """Return the grants of a key that are asked about anyway."""
        scripts = (script for script in self.recorded.scripts if script.crate[0] == key)
        dormant = (each for script in scripts for each in self._dormant(script))
        return frozenset(grant for each in dormant for grant in removal_proposals.keys(each))

    def _unused(self) -> dict[str, frozenset[str]]:
        """Find the grants that nothing used, by key, if all runs were complete."""
        found: dict[str, frozenset[str]] = {}
        if self.recorded.exit_code:
            return found  # Cargo may not have reached the run that needs a grant.
        for key, grants in self.policy.crates.items():
            scripts = [script for script in self.recorded.scripts if script.crate[0] == key]
            if scripts and not any(is_incomplete(script) for script in scripts):
                accesses = [access for script in scripts for access in script.accesses]
                found[key] = removal_proposals.unused(grants, accesses, self._elsewhere(key))
        return found

    def _elsewhere(self, key: str) -> Iterator[SeenAccess]:
        """Yield what a crate was seen doing in contexts that were not recorded this time."""
        for (crate, version), snapshot in self.before.items():
            now = self.recorded.snapshots.get((crate, version))
            again = {sighting.context for sighting in now.sightings} if now else set()
            if crate == key and now is not None and now.inputs == snapshot.inputs:
                for sighting in snapshot.sightings:
                    if sighting.context not in again:
                        yield from sighting.seen

    def _unused_before(self, key: str) -> frozenset[str]:
        """Return what was not used before either, if the script has changed since then.

        This is the grace period: from one change of a script to the next.
        """
        found: frozenset[str] = frozenset()
        for (crate, version), snapshot in self.recorded.snapshots.items():
            if crate != key:
                continue
            known = previous(self.before, crate, version)
            if known is not None and known.inputs != snapshot.inputs:
                found |= known.unused
        return found


def is_incomplete(script: RecordedScript) -> bool:
    """Tell whether a crate's recordings may lack something that it does."""
    return bool(script.run.failure or script.run.failed or script.run.dropped)


def revisions(
    workspaces: Sequence[Workspace], policy: Policy, seen: Collection[CrateVersion] = ()
) -> dict[CrateVersion, str]:
    """Return the revisions of packages that have something to review, here or perhaps elsewhere.

    `seen` are others of which something was seen: compiling them.
    """
    known = set()
    found: dict[CrateVersion, str] = {}
    for workspace in workspaces:
        project = workspace.project
        keys = GrantKeys(project.metadata, project.lock, policy, workspace.places)
        for package in project.metadata.packages.values():
            known.add((package.name, package.version, package.source))
            crate = keys.of(package)[0], package.version
            if package.subjects or package.build_scripts or crate in seen:
                found[crate] = package.revision
    # Somebody else may have reviewed the build script of a package for another platform.
    for each in workspaces[0].project.lock.packages:
        if (each.name, each.version, each.source) not in known:
            key = key_for(
                each.name,
                each.source,
                "",
                is_workspace_member=not each.source,
                has_registry_twin=False,
            )
            found[key, each.version] = revision.of_package(each.version, each.source)
    return found
