"""What `learn` and `review` do: record, ask, verify, write, until nothing new turns up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from buildperm.cargo.pending_search import combined, doubtful, pending
from buildperm.cargo.target_directory import open_target
from buildperm.errors import BuildpermError, ExitCode
from buildperm.policy import editor, journal, lock_file, manifest, undecided_accesses
from buildperm.policy.comparison import Comparison
from buildperm.policy.coverage import OpenCoverage
from buildperm.policy.decision import JournalEntry
from buildperm.policy.grants import Policy
from buildperm.policy.kinds import Kind
from buildperm.policy.merging import takes_answer, terms_of
from buildperm.policy.pending_review import Pending
from buildperm.policy.proposal import Proposal
from buildperm.policy.review_state import Review
from buildperm.policy.role import SubjectKind
from buildperm.policy.rule import Rule
from buildperm.presentation import console
from buildperm.presentation.baseline_accesses import BaselineAccesses
from buildperm.presentation.build_progress import LineViewer
from buildperm.presentation.build_viewer import BuildViewer
from buildperm.presentation.front_end import Failure, FrontEnd, Ran, ReviewEnd, ReviewSession
from buildperm.printable import log_text, printable
from buildperm.report import build_failure, text
from buildperm.report.build_failure import BuildFailure
from buildperm.report.failed_runs import after_failure, failed_by_denial
from buildperm.sandbox.selftest import SelfTest
from buildperm.workflow import kept_answers
from buildperm.workflow.build_outcome import rules
from buildperm.workflow.build_summary import (
    needs,
    summary,
    text_of_nothing_written,
    text_of_written,
    texts_of_denied,
)
from buildperm.workflow.evidence_source import RecordedEvidence, RecordedFiles, files_of
from buildperm.workflow.learning_end import LearningEnd
from buildperm.workflow.recording_round import CrateVersion, RecordingRound, record
from buildperm.workflow.review_changes import ReviewChanges, revisions
from buildperm.workflow.review_options import ReviewOptions
from buildperm.workflow.snapshot_file import open_snapshots
from buildperm.workflow.undoing import history_of
from buildperm.workflow.unwritable_answers import leave_out
from buildperm.workflow.verification import Verification
from buildperm.workflow.workspace import Workspace, open_contexts
from buildperm.workflow.written_history import FileChange


def learn(
    words: Sequence[str],
    options: ReviewOptions,
    front_end: FrontEnd | None,
    viewer: BuildViewer,
) -> LearningEnd:
    """Learn, or review, in every context that is asked for or declared.

    Args:
        words: For Cargo.
        options: What the command line says.
        front_end: Asks a person; None if there is nobody to ask.
        viewer: Shows each build while it runs.

    Raises:
        BuildpermError: A build cannot be held, or a file cannot be read or written.
    """
    workspaces = open_contexts(words)
    for line in dict.fromkeys(line for each in workspaces for line in each.young()):
        console.print_message(line)
    proof = SelfTest(workspaces[0].runtime)
    try:
        learning = Learning(workspaces, options, front_end, viewer)
    finally:
        proof.result()
    exit_code = learning.run()
    return LearningEnd(int(exit_code), learning.failure)


class Learning:
    """One `learn` or `review`: as many rounds as it takes until nothing new turns up."""

    def __init__(
        self,
        workspaces: Sequence[Workspace],
        options: ReviewOptions,
        front_end: FrontEnd | None,
        viewer: BuildViewer | None = None,
    ) -> None:
        """Read what has been reviewed before.

        Args:
            workspaces: The workspace in each context; at least one.
            options: What the command line says.
            front_end: Asks a person; None if there is nobody to ask.
            viewer: Shows each build while it runs; a line on standard error unless given.

        Raises:
            BuildpermError: `buildperm.lock` cannot be read.
        """
        self.workspaces = workspaces
        self.options = options
        self._front_end = front_end
        self._viewer = viewer or LineViewer()
        self._workspace = workspaces[0]
        self._raw = self._workspace.manifest  # Cargo.toml as this command has left it.
        self._lock = open_snapshots(self._workspace)
        target = open_target(self._workspace.project.metadata, "learn")
        self._journal = target.folder / "buildperm-journal.jsonl"
        # What was allowed to versions of which something is still open: it is not asked again.
        self._allowed = target.folder / "buildperm-allowed.jsonl"
        self._failures: list[Failure] = []  # Of the last verifying run.
        self._written = 0  # The number of what this command has written; 0 for nothing.
        self._unanswered: list[Proposal] = []  # Of the rounds before this one.
        self.failure: BuildFailure | None = None  # Of the last round.
        self.changes: ReviewChanges
        self.comparisons: dict[CrateVersion, Comparison] = {}
        self.review: Review

    @property
    def policy(self) -> Policy:
        """Return the grants as this command has left them."""
        return manifest.read(self._raw, self._workspace.manifest_path)

    @property
    def recorded(self) -> RecordingRound:
        """Return what the last round has recorded."""
        return self.changes.recorded

    def run(self) -> int:
        """Run as many rounds as it takes; return the exit code.

        Raises:
            BuildpermError: A build cannot be held, or a file cannot be written.
        """
        while True:
            pending_now = self._pending()
            recorded = record(
                self.workspaces,
                self.policy,
                runs=self.options.runs,
                doubtful=self._doubtful(pending_now),
                tell=console.print_message,
                viewer=self._viewer,
                heading=self._heading,
                command=self.options.command,
            )
            self.failure = recorded.failure
            if recorded.interrupted:
                console.print_message(
                    "Stopped; nothing was written. What was recorded is kept: "
                    f"`buildperm {self.options.command}` goes on from there."
                )
                return ExitCode.INTERRUPTED
            self._begin(recorded, pending_now)
            outcome = self.decide()
            if self.options.dry_run:
                before, after = self.preview()
                console.write(log_text(editor.diff(before, after)))
                return self._exit_code()
            if outcome is ReviewEnd.DISCARD:
                self._forget()
                return self._exit_code()
            if outcome is ReviewEnd.KEEP:
                console.print_message(text_of_nothing_written(self.review, self._journal))
                # Whoever goes on, because of a 0, would build without what was decided.
                return self._exit_code() or (
                    ExitCode.UNDECIDED if self._is_unwritten() else ExitCode.OK
                )
            stopped = _what_stopped(recorded)
            if not self._write() or not stopped:
                return self._exit_code()
            self._unanswered = list(self.review.select("is:undecided reason:asked"))
            console.print_message(f"{stopped} had failed; going on under the new grants.")

    def preview(self) -> tuple[bytes, bytes]:
        """Return Cargo.toml as it is and as it would be."""
        self._workspace.check_manifest(self._raw)
        after = self._raw
        wanted = self.review.grants(self.policy)
        after = editor.with_all_grants(after, wanted, self._workspace.manifest_path)
        if after != self._raw:
            self._workspace.read(after)
        return self._raw, after

    def _is_unwritten(self) -> bool:
        """Tell whether answers would change Cargo.toml, or cannot be written as they are."""
        try:
            before, after = self.preview()
        except BuildpermError:
            return True
        return before != after

    def verify(self, progress: Callable[[int, int, str], bool]) -> list[Failure]:
        """Run the scripts concerned under the grants as they would be."""
        known = frozenset(proposal.id for proposal in self.review.proposals)
        after = self.preview()[1]
        self._failures = []
        for workspace, outcome in zip(self.workspaces, self.recorded.outcomes, strict=True):
            verification = Verification(workspace, self.policy, outcome)
            self._failures += verification.run(after, known, progress)
        return self._failures

    def keep(self, entry: JournalEntry | None) -> None:
        """Keep one step of the review in the journal."""
        if entry is not None and not self.options.dry_run:
            journal.append(self._journal, entry)

    def _forget(self) -> None:
        """Forget the decisions, and what a check of them has found: everything is open again."""
        self._journal.unlink(missing_ok=True)
        self._allowed.unlink(missing_ok=True)
        self.review.clear(*(proposal.id for proposal in self.review.proposals))
        self._failures = []
        console.print_message("Nothing written; the decisions are forgotten.")

    def _begin(self, recorded: RecordingRound, pending_now: Mapping[CrateVersion, Pending]) -> None:
        self.changes = ReviewChanges(
            recorded,
            self._lock.snapshots,
            pending_now,
            self.policy,
            self.options.prune,
            self._workspace,
            is_first=self._lock.raw is None,
        )
        self.comparisons = self.changes.comparisons()
        proposals = [*self.changes.proposals(), *self.changes.asked_before(self._unanswered)]
        asked = {(each.crate, each.version) for each in proposals}
        settled = [crate for crate in self.changes.settled() if crate not in asked]
        present = self._revisions()
        self.review = Review(
            proposals,
            settled,
            {(crate, named) for (crate, _), named in present.items()},
            present,
            terms_of(self.policy),
            local={
                name for each in self.workspaces for name in each.project.metadata.local_names()
            },
            closed=self._closed,
        )
        self.review.replay_written(kept_answers.read(self._allowed), self.policy)
        self.review.replay(kept_answers.read(self._journal))

    def _closed(self, rule: Rule) -> str:
        return next((why for each in self.workspaces if (why := each.closed(rule))), "")

    def _revisions(self) -> dict[CrateVersion, str]:
        seen = {*self._lock.snapshots, *self.recorded.snapshots}
        return revisions(self.workspaces, self.policy, seen)

    def _pending(self) -> dict[CrateVersion, Pending]:
        """Find out why each script has to be reviewed."""
        found = combined(
            pending(workspace.project, self.policy, self._lock.snapshots)
            for workspace in self.workspaces
        )
        return {(each.crate, each.version): each for each in found}

    def _doubtful(self, pending_now: Mapping[CrateVersion, Pending]) -> frozenset[str]:
        found = (doubtful(each.project, pending_now.values()) for each in self.workspaces)
        return frozenset[str]().union(*found)

    def decide(self) -> ReviewEnd:
        """Get decisions about the last round; return what to do with them."""
        if self.options.accept is not None:
            self.keep(self.review.accept_up_to(self.options.accept))
            leave_out(self.review, self.preview, self.keep)
        for line in summary(self.changes, self.review, self.comparisons):
            console.print_message(line)
        if not self.review.proposals:
            return ReviewEnd.WRITE
        answered = self.review.counts().undecided == 0 and self.options.accept is not None
        if self._front_end is not None and not answered and not self.options.dry_run:
            return self._front_end.conduct(self.session())
        self._viewer.close()
        if not self.options.dry_run:
            self._verify_unasked()
        for proposal in self.review.undecided():
            console.print_message(text.undecided(proposal))
        for proposal in self.review.proposals:
            if not takes_answer(proposal):
                console.print_message(f"note: {proposal.who}: {proposal.title}")
        return ReviewEnd.WRITE

    def session(self) -> ReviewSession:
        """Return the questions of the last round, for a front end."""
        return ReviewSession(
            self.review,
            self.preview,
            self.verify,
            self.keep,
            self._heading,
            needs(self.changes, self.review),
            _ran(self.recorded),
            self.comparisons,
            RecordedEvidence(self._recorded_files, self._manifest_as_it_is),
            BaselineAccesses({each.crate: each.accesses for each in self.recorded.scripts}),
            self.unsaved,
        )

    def _recorded_files(self) -> RecordedFiles:
        recorded = self.recorded
        return files_of(self.workspaces, recorded.outcomes, self.policy, recorded.files)

    def _manifest_as_it_is(self) -> tuple[bytes, Path]:
        return self._raw, self._workspace.manifest_path

    def unsaved(self) -> list[str]:
        """Return the crates that buildperm.lock would note as reviewed, in words."""
        reviewed = self.changes.snapshots(self.review, self._unsettled())
        return [" ".join(each) for each in self._lock.noted_anew(reviewed, self._revisions())]

    def _unsettled(self) -> frozenset[CrateVersion]:
        return frozenset((failure.crate, failure.version) for failure in self._failures)

    @property
    def _heading(self) -> str:
        return f"{self.options.command}  {self._workspace.project.metadata.root.name}"

    def _verify_unasked(self) -> None:
        """Verify what was accepted without asking; accept in the same way what comes up."""
        while self.review.counts().allowed or self.review.counts().denied:
            failures = self.verify(lambda done, total, crate: True)
            # What is refused under fewer grants may be a part of what is asked already.
            asked = OpenCoverage(self.review.undecided())
            found = [proposal for failure in failures for proposal in failure.proposals]
            new = [proposal for proposal in found if not asked.includes(proposal)]
            if not new:
                return
            self.review.add(new)
            accept = self.options.accept
            if accept is None or self.review.accept_up_to(accept) is None:
                return
            leave_out(self.review, self.preview, self.keep)

    def _write(self) -> bool:
        """Write grants and snapshots; tell whether any grant has changed."""
        self._leave_out_what_cannot_hold()
        before, after = self.preview()
        if after != before:
            editor.write_atomically(self._workspace.manifest_path, before, after)
        self._raw = after
        locked = self._lock.raw
        self._lock = self._lock.with_reviewed(
            self.changes.snapshots(self.review, self._unsettled()), self._revisions()
        )
        self._record(before, locked)
        written = [self._workspace.manifest_path] if after != before else []
        written += [self._lock.path] if self._lock.raw != locked else []
        if written:
            is_whole = self.failure is None and not self.review.counts().open
            console.print_message(text_of_written(written, is_whole=is_whole))
        path = self._workspace.manifest_path
        for line in texts_of_denied(manifest.read(before, path), manifest.read(after, path)):
            console.print_message(line)
        journal.replace_by(self._allowed, self.review.allowed_beside_open())
        self._journal.unlink(missing_ok=True)
        return after != before

    def _leave_out_what_cannot_hold(self) -> None:
        """Leave open what was allowed and yet refused when it was tried: the rule is of no use."""
        for failure in self._failures:
            for proposal in self.review.proposals:
                if (proposal.crate, proposal.version) == (failure.crate, failure.version) and any(
                    access.kind is Kind.READ and access.target in failure.unlisted
                    for access in proposal.evidence
                ):
                    self.review.clear(proposal.id)

    def _record(self, manifest: bytes, locked: bytes | None) -> None:
        """Keep what was written, so that it can be taken back: all rounds are one change."""
        files = (
            FileChange("Cargo.toml", manifest, self._raw),
            FileChange(lock_file.NAME, locked, self._lock.raw),
        )
        history = history_of(self._workspace)
        written = history.record(self.options.command, files, self._written)
        self._written = written.number if written else self._written

    def _exit_code(self) -> int:
        left = self.review.counts().open
        if left:
            looks = all(each.is_only_looks for each in self.review.undecided())
            refuses = "the runtime `full` will hide" if looks else "`buildperm ci` will block"
            console.print_message(
                f"{left:,} undecided: {refuses} {'it' if left == 1 else 'these'}; "
                f"`{self.options.again}` asks again."
            )
        lacking = self._lacking()
        for failure in self._failures:
            who = f"{failure.crate} {failure.version}"
            console.print_message(f"not settled: {who} {failure.sentence}")
        # What is missing is not there the next time either: see the last lines.
        asks = any(f"{each.crate} {each.version}" not in lacking for each in self._failures)
        if asks and not left:
            console.print_message(f"`{self.options.again}` asks about it again.")
        broken = [script for script in self.recorded.scripts if script.run.failure]
        for script in broken:
            who = f"{script.run.crate} {script.run.version}"
            console.print_message(
                f"not settled: {who} does not count as reviewed: {script.run.failure}"
            )
            for line in after_failure(script.run, self._workspace.home):
                console.print_message(line)
        for script in self.recorded.scripts:
            denied = undecided_accesses.denied(script.accesses, rules(script.package["deny"]))
            if script.run.failed and denied:
                title, *ways_on = failed_by_denial(script.run, denied, self._workspace.home)
                for line in (f"{title}.", *ways_on):
                    console.print_message(printable(line))
        if left or self._failures:
            code: int = ExitCode.UNDECIDED
        elif self.recorded.exit_code:
            code = self.recorded.exit_code
        else:
            code = ExitCode.UNDECIDED if broken else ExitCode.OK
        if self.failure is not None:
            for line in build_failure.lines(self.failure, code, self.options.again):
                console.print_message(line)
        if lacking:
            console.print_message(
                f"To go on, install what is missing; then run `{self.options.again}`:"
            )
            for who, listed in lacking.items():
                for what in listed:
                    console.print_message(printable(f"  {who or 'the build'}: {what}"))
        return code

    def _lacking(self) -> dict[str, list[str]]:
        """Return what of the system the last round did not find, by crate and version."""
        found: dict[str, list[str]] = {}
        for each in self.failure.missing if self.failure else ():
            who = f"{each.crate} {each.version}" if each.crate else ""
            found.setdefault(who, []).append(each.sentence)
        return found


def _ran(recorded: RecordingRound) -> Ran:
    subjects = [script.run.subjects for script in recorded.scripts]
    return Ran(
        sum(SubjectKind.SCRIPT in each for each in subjects),
        sum(SubjectKind.MACRO in each for each in subjects),
    )


def _what_stopped(recorded: RecordingRound) -> str:
    """Say what kept a round from showing everything; empty if nothing did.

    A macro that was refused something seldom ends: it makes rustc say so, and Cargo fails.
    """
    failed = {
        each for script in recorded.scripts if script.run.failed for each in script.run.subjects
    }
    if SubjectKind.SCRIPT in failed:
        return "A build script"
    if failed:
        return "A macro" if SubjectKind.MACRO in failed else "A compilation"
    refused = (script for script in recorded.scripts if script.run.findings)
    others = any(
        role.subject is not SubjectKind.SCRIPT for each in refused for role in each.run.roles
    )
    return "Cargo" if recorded.exit_code and others else ""
