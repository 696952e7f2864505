"""`buildperm review --from`: decide here about what a build elsewhere was refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.cargo.held_packages import HeldPackages
from buildperm.cargo.pending_search import pending
from buildperm.cargo.project import LEARN
from buildperm.cargo.supervised_build import SupervisedBuild
from buildperm.cargo.target_directory import open_target
from buildperm.errors import ExitCode
from buildperm.policy import (
    compilation,
    editor,
    journal,
    lock_file,
    manifest,
    proposals,
    revision,
)
from buildperm.policy.decision import JournalEntry
from buildperm.policy.merging import terms_of
from buildperm.policy.pending_review import Cause
from buildperm.policy.proposal import Proposal
from buildperm.policy.review_state import Review
from buildperm.presentation import console
from buildperm.presentation.front_end import (
    Failure,
    FrontEnd,
    Progress,
    Ran,
    ReviewEnd,
    ReviewSession,
)
from buildperm.printable import log_text
from buildperm.report import json_reader, next_command, text
from buildperm.report.counterpart import find_packages
from buildperm.workflow import kept_answers
from buildperm.workflow.build_outcome import asked
from buildperm.workflow.build_summary import text_of_nothing_written
from buildperm.workflow.evidence_source import RecordedEvidence, RecordedFiles, kept_files
from buildperm.workflow.review_options import ReviewOptions
from buildperm.workflow.snapshot_file import open_snapshots
from buildperm.workflow.source_search import sources_of
from buildperm.workflow.undoing import history_of
from buildperm.workflow.workspace import Workspace, open_workspace
from buildperm.workflow.written_history import FileChange

if TYPE_CHECKING:
    from buildperm.supervisor.session import SessionPackage

_JOURNAL = "buildperm-journal-report.jsonl"


def review_report(
    report: str, options: ReviewOptions, words: Sequence[str], front_end: FrontEnd | None
) -> int:
    """Ask about what the JSON report at `report` says was refused; write what is decided.

    Nothing is built: decisions are only checked against the report, and `buildperm.lock` stays as
    it is, since this machine has seen nothing.

    Raises:
        BuildpermError: The report cannot be used, or the grants cannot be written.
    """
    return _ReportReview(report, options, words, front_end).run()


class _ReportReview:
    """The review of one report."""

    def __init__(
        self,
        report: str,
        options: ReviewOptions,
        words: Sequence[str],
        front_end: FrontEnd | None,
    ) -> None:
        self._options = options
        self._report = report
        self._front_end = front_end
        self._workspace: Workspace = open_workspace(words, default=LEARN)
        project = self._workspace.project
        session = SupervisedBuild(project, self._workspace.policy, "learning").session
        self._held = HeldPackages(project, self._workspace.policy, session)
        known = self._held.everything()
        found, self._strangers = find_packages(
            json_reader.read(report), known.values(), session["places"], self._held.members
        )
        self._found = found
        self._folders = {package["id"]: folder for folder, package in known.items()}
        self._journal = open_target(project.metadata, "learn").folder / _JOURNAL
        found_open = [
            each
            for package, script in found
            for each in asked(package, script.accesses, self._consumers(package))
        ]
        self._review = Review(
            sorted(found_open, key=lambda proposal: -proposal.risk),
            revisions={
                (package["crate"], package["version"]): _revision(package) for package, _ in found
            },
            terms=terms_of(self._workspace.policy),
            local=project.metadata.local_names(),
            closed=self._workspace.closed,
        )

    def _consumers(self, package: SessionPackage) -> frozenset[str]:
        return self._held.consumers(self._folders[package["id"]])

    def run(self) -> int:
        for stranger in self._strangers:
            console.print_message(f"left out: {stranger}")
        self._review.replay(kept_answers.read(self._journal))
        if self._options.accept is not None:
            self._note(self._review.accept_up_to(self._options.accept))
        number = text.count(len(self._review.undecided()), "decision")
        summary = f"{text.count(len(self._found), 'crate')} of the report: {number}."
        console.print_message(summary)
        outcome = ReviewEnd.WRITE
        is_asking = self._review.counts().undecided and not self._options.dry_run
        if is_asking and self._front_end is not None:
            session = ReviewSession(
                self._review,
                self._preview,
                self._verify,
                self._note,
                f"review  {self._workspace.project.metadata.root.name}, from a report",
                summary,
                Ran(len(self._found)),
                evidence=RecordedEvidence(self._files, self._manifest_as_it_is),
                is_tried=False,
            )
            outcome = self._front_end.conduct(session)
        return self._end(outcome)

    def _end(self, outcome: ReviewEnd) -> int:
        before, after = self._preview()
        if self._options.dry_run:
            console.write(log_text(editor.diff(before, after)))
        elif outcome is ReviewEnd.KEEP:
            console.print_message(text_of_nothing_written(self._review, self._journal))
        else:
            if outcome is ReviewEnd.WRITE and after != before:
                editor.write_atomically(self._workspace.manifest_path, before, after)
                history = history_of(self._workspace)
                history.record("review", [FileChange("Cargo.toml", before, after)])
                console.print_message(
                    f"Wrote {self._workspace.manifest_path}. The grants were not tried here: "
                    "commit it, then run `buildperm ci`."
                )
                self._tell_unrecorded(after)
            self._journal.unlink(missing_ok=True)
        for proposal in self._review.undecided():
            console.print_message(text.undecided(proposal))
        left = self._review.counts().open
        if left and not self._options.dry_run:
            again = next_command.decide(self._report, self._options.words)
            console.print_message(
                f"{left:,} undecided: `buildperm ci` will block {'it' if left == 1 else 'these'}; "
                f"`{again}` asks again."
            )
        is_unwritten = outcome is ReviewEnd.KEEP and after != before
        return ExitCode.UNDECIDED if left or is_unwritten else ExitCode.OK

    def _tell_unrecorded(self, after: bytes) -> None:
        """Say which crates of the report this machine has yet to see, for `buildperm.lock`."""
        project = self._workspace.project
        policy = manifest.read(after, self._workspace.manifest_path)
        snapshots = open_snapshots(self._workspace).snapshots
        about = {(package["crate"], package["version"]) for package, _ in self._found}
        names = [
            f"{each.crate} {each.version}"
            for each in pending(project, policy, snapshots)
            if (each.crate, each.version) in about
            and any(cause is not Cause.CONTEXT for cause, _ in each.causes)
        ]
        if names:
            console.print_message(
                f"{lock_file.NAME} does not know {', '.join(names)} as it is now: "
                f"`{next_command.review(self._options.words)}` records it."
            )

    def _files(self) -> RecordedFiles:
        """Return where the sources are, and recordings of the same crates on this machine."""
        kept = kept_files(self._workspace)
        metadata = self._workspace.project.metadata
        sources = {
            (package["crate"], package["version"]): sources_of(
                metadata, self._folders[package["id"]], {}
            )
            for package, _ in self._found
        }
        return replace(kept, sources=sources)

    def _manifest_as_it_is(self) -> tuple[bytes, Path]:
        return self._workspace.manifest, self._workspace.manifest_path

    def _preview(self) -> tuple[bytes, bytes]:
        raw = self._workspace.manifest
        self._workspace.check_manifest(raw)
        after = raw
        wanted = self._review.grants(self._workspace.policy)
        after = editor.with_all_grants(after, wanted, self._workspace.manifest_path)
        if after != raw:
            self._workspace.read(after)
        return raw, after

    def _verify(self, progress: Progress) -> list[Failure]:
        """Check what the report says against the grants as they would be."""
        policy = manifest.read(self._preview()[1], self._workspace.manifest_path)
        known = {proposal.id for proposal in self._review.proposals}
        failures = []
        for number, (package, script) in enumerate(self._found, 1):
            grants = policy.crates.get(package["crate"])
            held = compilation.effective(grants, _revision(package))
            missing: tuple[Proposal, ...] = tuple(
                proposal
                for proposal in proposals.propose(
                    package["crate"],
                    package["version"],
                    script.accesses,
                    held.rules,
                    held.denials,
                    self._held.reach.named(grants.consumers) if grants else (),
                )
                if proposal.id not in known
            )
            if missing:
                failures.append(
                    Failure(
                        package["crate"],
                        package["version"],
                        "needs more than what is granted so far",
                        missing,
                    )
                )
            if not progress(number, len(self._found), package["crate"]):
                return []
        return failures

    def _note(self, entry: JournalEntry | None) -> None:
        if entry is not None and not self._options.dry_run:
            journal.append(self._journal, entry)


def _revision(package: SessionPackage) -> str:
    return revision.of_package(package["version"], package["source"])
