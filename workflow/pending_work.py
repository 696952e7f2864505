"""What is left to decide in a workspace, from what builds on this machine have recorded.

Nothing is built for it. `pending` lists it and `decide` answers it. A token ties an answer
to what was listed.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from buildperm.cargo import once_grants
from buildperm.cargo.target_directory import open_target
from buildperm.policy import editor, journal, lock_file, reasons, revision, surplus
from buildperm.policy.crate_request import told
from buildperm.policy.decision import Answer, signature
from buildperm.policy.merging import terms_of
from buildperm.policy.proposal import Proposal
from buildperm.policy.review_state import Review
from buildperm.presentation import console
from buildperm.presentation.front_end import Failure
from buildperm.report.manifest_place import GrantLines
from buildperm.workflow import file_listing, kept_answers
from buildperm.workflow.build_outcome import asked
from buildperm.workflow.kept_builds import (
    KeptBuild,
    KeptCrate,
    keep_verified,
    kept_builds,
    kept_crates,
)
from buildperm.workflow.source_search import asking_lines
from buildperm.workflow.undoing import history_of
from buildperm.workflow.verification import Verification
from buildperm.workflow.workspace import Workspace, open_contexts
from buildperm.workflow.written_history import FileChange

if TYPE_CHECKING:
    from pathlib import Path

    from buildperm.policy.decision import JournalEntry
    from buildperm.policy.grants import Policy
    from buildperm.policy.rule import Rule
    from buildperm.policy.surplus import Surplus
    from buildperm.presentation.proposal_evidence import SourceLine

_TOKEN_DIGITS = 32
_SEARCH_MOST_S = 5.0


class PendingWork:
    """The questions that recordings on this machine leave open under today's grants."""

    def __init__(
        self, words: Sequence[str], *, unit: Path | None = None, once: Collection[Rule] = ()
    ) -> None:
        """Read what there is.

        Args:
            words: For Cargo; without any, all contexts that Cargo.toml declares.
            unit: The folder of the one run that counts; None for all.
            once: What is allowed beside the grants, and not asked about.

        Raises:
            BuildpermError: There is no workspace, or something in it is broken.
        """
        self.words = tuple(words)
        self._once = once
        workspaces = open_contexts(words, locked=True)
        self.workspace: Workspace = workspaces[0]
        metadata = self.workspace.project.metadata
        self._lock = lock_file.content(metadata.root / lock_file.NAME)
        self._cargo_lock = (metadata.root / "Cargo.lock").read_bytes()
        self.builds: list[KeptBuild] = kept_builds(workspaces, unit)
        self.crates: list[KeptCrate] = kept_crates(self.builds, console.print_warning)
        target = open_target(metadata, "learn").folder
        self.journal: Path = target / "buildperm-journal.jsonl"
        self._allowed = target / "buildperm-allowed.jsonl"  # See `Learning`.
        proposals = [each for crate in self.crates for each in self._proposals(crate)]
        self.review = self._begun(sorted(proposals, key=lambda each: -each.risk))
        self._settled = frozenset(
            each.id
            for each in self.review.proposals
            if self.review.decision(each.id).answer is Answer.ALLOW
        )

    def _proposals(self, crate: KeptCrate) -> Iterator[Proposal]:
        extended = once_grants.extended(crate.package, self._once)
        found = asked(extended, crate.accesses, crate.consumers)
        packages = self.workspace.project.metadata.packages
        package = packages.get(crate.package["id"])
        request = package.request if package and package.source else None
        yield from (told(each, request) for each in found)
        key, version = crate.package["crate"], crate.package["version"]
        grants = self.workspace.policy.crates.get(key)
        if grants is not None:
            yield from reasons.dormant(key, version, grants, found, crate.package["source"])

    def _begun(self, proposals: Sequence[Proposal]) -> Review:
        named = {
            (each.package["crate"], each.package["version"]): revision.of_package(
                each.package["version"], each.package["source"]
            )
            for each in self.crates
        }
        review = Review(
            proposals,
            revisions=named,
            terms=terms_of(self.workspace.policy),
            closed=self.workspace.closed,
        )
        review.replay_written(kept_answers.read(self._allowed), self.workspace.policy)
        return review

    @property
    def proposals(self) -> tuple[Proposal, ...]:
        """Return what is asked, the riskiest first.

        What was allowed beside it, and stands in Cargo.toml, is not asked again.
        """
        return tuple(each for each in self.review.proposals if each.id not in self._settled)

    def remembered(self) -> Review:
        """Return a review of the same proposals, with the answers that a journal keeps."""
        review = self._begun(self.review.proposals)
        review.replay(kept_answers.read(self.journal))
        return review

    @property
    def has_recordings(self) -> bool:
        """Whether anything was ever recorded here."""
        return any(build.outcome.units for build in self.builds)

    @property
    def token(self) -> str:
        """Return what changes whenever a question, Cargo.toml or a lock file does."""
        digest = hashlib.sha256()
        for content in (self.workspace.manifest, self._lock or b"", self._cargo_lock):
            digest.update(hashlib.sha256(content).digest())
        for proposal in self.proposals:
            asked = [
                proposal.id,
                proposal.version,
                proposal.risk,
                proposal.locked,
                [signature(choice) for choice in proposal.choices],
                sorted(f"{each.kind} {each.target}" for each in proposal.evidence),
            ]
            digest.update(json.dumps(asked).encode())
        return digest.hexdigest()[:_TOKEN_DIGITS]

    def preview(self) -> tuple[bytes, bytes]:
        """Return Cargo.toml as it is and as the answers given so far would make it.

        Raises:
            BuildpermError: It was changed meanwhile, or would be broken.
        """
        workspace = self.workspace
        before = after = workspace.manifest
        workspace.check_manifest(before)
        wanted = self.review.grants(workspace.policy)
        after = editor.with_all_grants(after, wanted, workspace.manifest_path)
        if after != before:
            workspace.read(after)
        return before, after

    def policy_as_answered(self) -> Policy:
        """Return the grants that there were, with the answers given so far; nothing is written.

        Raises:
            BuildpermError: They would be broken.
        """
        workspace = self.workspace
        wanted = self.review.grants(workspace.policy)
        return workspace.read(
            editor.with_all_grants(workspace.manifest, wanted, workspace.manifest_path)
        )

    def verify(self, progress: Callable[[int, int, str], bool]) -> list[Failure]:
        """Run what the answers concern under the grants as they would be.

        What that shows besides is listed by the next `pending`.

        Raises:
            BuildpermError: It cannot be run.
        """
        known = frozenset(proposal.id for proposal in self.review.proposals)
        after = self.preview()[1]
        failures: dict[tuple[str, str, str], Failure] = {}
        for build in self.builds:
            if build.outcome.units:
                verification = Verification(build.workspace, self.workspace.policy, build.outcome)
                found = verification.run(after, known, progress)
                keep_verified(build, {(each.crate, each.version) for each in found})
                for each in found:
                    failures.setdefault((each.crate, each.version, each.sentence), each)
        return list(failures.values())

    def write(self) -> tuple[bytes, bytes]:
        """Write the answers to Cargo.toml, so that `undo` can take them back.

        Returns Cargo.toml as it was and as it is now.

        Raises:
            BuildpermError: It cannot be written, or was changed meanwhile.
        """
        before, after = self.preview()
        if after != before:
            editor.write_atomically(self.workspace.manifest_path, before, after)
            history = history_of(self.workspace)
            history.record("decide", [FileChange("Cargo.toml", before, after)])
        journal.replace_by(self._allowed, self.review.allowed_beside_open())
        return before, after

    def keep(self, entry: JournalEntry | None) -> None:
        """Keep an answer that Cargo.toml has no word for.

        Raises:
            BuildpermError: The journal cannot be written.
        """
        if entry is not None:
            journal.append(self.journal, entry)

    def lines_of(self, proposals: Sequence[Proposal]) -> Mapping[str, int]:
        """Return the line of Cargo.toml that each proposal is about, by id."""
        places = GrantLines(self.workspace.manifest, self.workspace.manifest_path)
        ways = self._ways()
        found = {}
        for each in proposals:
            kinds = [access.kind for access in each.evidence]
            if kinds:
                own = [access.target for access in each.evidence if access.kind is kinds[0]]
                way = ways.get((each.crate, each.version), ())
                found[each.id] = places.of_kind(each.crate, each.version, kinds[0], own, way)
            else:
                found[each.id] = places.of_crate(each.crate, each.version)
        return found

    def source_lines(self, proposals: Sequence[Proposal]) -> Mapping[str, tuple[SourceLine, ...]]:
        """Return lines of the crates' sources that look as if they asked for it, by id.

        Nothing is executed. The riskiest are looked for first; those beyond some seconds have none.
        """
        sources = {
            (each.package["crate"], each.package["version"]): each.sources for each in self.crates
        }
        found: dict[str, tuple[SourceLine, ...]] = {}
        until_s = time.monotonic() + _SEARCH_MOST_S
        for each in sorted(proposals, key=lambda proposal: -proposal.risk):
            about = sources.get((each.crate, each.version))
            if about is not None and each.evidence and time.monotonic() < until_s:
                found[each.id] = asking_lines(each, about)[0]
        return found

    def existing(self, proposals: Sequence[Proposal]) -> Mapping[str, tuple[Surplus | None, ...]]:
        """Count the existing files that each rung adds to what was seen, by id.

        Those beyond some seconds of looking are not counted.
        """
        found: dict[str, tuple[Surplus | None, ...]] = {}
        until_s = time.monotonic() + _SEARCH_MOST_S
        places = self.workspace.places
        for each in proposals:
            if time.monotonic() < until_s:
                open_ = (choice for choice in each.choices if not choice.locked)
                files, is_complete = file_listing.existing(surplus.bases(open_), places)
                found[each.id] = surplus.of_choices(each, files, is_complete=is_complete)
        return found

    def _ways(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """Return how each crate got into the graph."""
        ids = {each.package["id"]: each.package for each in self.crates}
        chains = self.workspace.project.metadata.chains(ids)
        return {
            (ids[each]["crate"], ids[each]["version"]): tuple(step.name for step in chain)
            for each, chain in chains.items()
        }
