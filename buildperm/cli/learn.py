"""`buildperm learn`: build once, show what every build script did, decide, verify, write."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from buildperm.cargo.held import HeldBuild
from buildperm.cargo.project import LEARN
from buildperm.cargo.run import ScriptEnded
from buildperm.cargo.target import open_target
from buildperm.cli import prompt
from buildperm.cli.build import Built, package_of, propose, run
from buildperm.cli.progress import BuildProgress
from buildperm.cli.verification import Verification
from buildperm.cli.workspace import Workspace, open_workspace
from buildperm.errors import ExitCode
from buildperm.policy import editor, journal, manifest
from buildperm.policy.decision import Entry
from buildperm.policy.fold import fold
from buildperm.policy.grants import Policy
from buildperm.policy.proposal import Proposal, Risk
from buildperm.policy.review import Review
from buildperm.report import text
from buildperm.sandbox import selftest
from buildperm.tui.outcome import Failure, Outcome
from buildperm.tui.wording import printable

_ACCEPT = {"none": None, "low": Risk.LOW, "medium": Risk.MEDIUM}


@click.command("learn")
@click.option("--no-tui", is_flag=True, help="Decide with plain text instead of the screens.")
@click.option(
    "--accept",
    type=click.Choice(list(_ACCEPT)),
    default="none",
    show_default=True,
    help="Allow what is up to this risk without asking; high and critical are never allowed so.",
)
@click.option("--dry-run", is_flag=True, help="Print the diff of Cargo.toml, write nothing.")
@click.argument("cargo", nargs=-1, type=click.UNPROCESSED, metavar="[-- CARGO ARGS]")
def command(*, no_tui: bool, accept: str, dry_run: bool, cargo: tuple[str, ...]) -> int:
    """Build once, see what each build script does, decide, write the grants.

    Runs `cargo check --keep-going`, or whatever you write after `--`, in a target directory of its
    own, each build script recorded inside a sandbox: it may read and run what it likes, except for
    keys, tokens and the like, but write only where build scripts should, and reach no network.
    Then you decide about what is out of the ordinary; the scripts concerned run once more under
    your decisions; and these are written to Cargo.toml. Most crates need no decision at all.

    Quitting at any moment loses no decision and writes nothing.

    Exit code: 0 all decided, 3 something left undecided, 23 this machine cannot hold a build
    script, 130 interrupted, Cargo's own where the build fails for a reason of its own.
    """
    workspace = open_workspace(cargo, default=LEARN)
    selftest.check()
    learning = _Learning(workspace, accept=_ACCEPT[accept], dry_run=dry_run)
    return learning.run(_decider(no_tui=no_tui))


_Decider = Callable[["_Learning", Review], Outcome]


def _decider(*, no_tui: bool) -> _Decider:
    if no_tui or not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        return _ask_in_text
    return _ask_on_screen


class _Learning:
    """One `buildperm learn`: as many rounds as it takes until nothing new turns up."""

    def __init__(self, workspace: Workspace, *, accept: Risk | None, dry_run: bool) -> None:
        self.workspace = workspace
        self._accept = accept
        self._dry_run = dry_run
        self._raw = workspace.manifest  # Cargo.toml as this command has left it.
        target = open_target(workspace.project.metadata, "learn")
        self._journal = target.folder / "buildperm-journal.jsonl"
        self._failures: list[Failure] = []  # Of the last verifying run.
        self.built: Built
        self.review: Review

    @property
    def policy(self) -> Policy:
        return manifest.read(self._raw, self.workspace.manifest_path)

    def run(self, decide: _Decider) -> int:
        while True:
            self.built = self._build()
            if self.built.finished.interrupted:
                return ExitCode.INTERRUPTED
            self.review = self._open_review()
            outcome = self._decide(decide)
            if self._dry_run:
                before, after = self.preview()
                click.echo(editor.diff(before, after), nl=False)
                return self._exit_code()
            if outcome is Outcome.DISCARD:
                self._journal.unlink(missing_ok=True)
                return self._exit_code()
            if outcome is Outcome.KEEP:
                _tell(f"Nothing written; {self._journal} keeps the decisions for the next time.")
                return self._exit_code()
            stopped_short = any(script.failed for script in self.built.scripts)
            if not self._write() or not stopped_short:
                return self._exit_code()
            _tell("A build script had failed; going on under the new grants.")

    def _build(self) -> Built:
        def appraise(step: ScriptEnded) -> tuple[Proposal, ...]:
            if step.recording is None:
                return ()
            found = package_of(build.session, step.recording)
            return tuple(propose(found[0], fold(found[1]))) if found else ()

        policy = self.policy
        with BuildProgress(appraise) as shown:
            build = HeldBuild(
                self.workspace.project,
                policy,
                "learning",
                on_progress=shown.on_progress,
                on_output=shown.on_output,
            )
            return run(build, self.workspace, policy)

    def _open_review(self) -> Review:
        # What matters most comes first: people decide with care about the first few.
        scripts = sorted(self.built.scripts, key=lambda script: -script.worst)
        review = Review(
            [proposal for script in scripts for proposal in script.findings],
            [
                (script.crate, script.version)
                for script in scripts
                if not (script.findings or script.failure or script.dropped)
            ],
        )
        review.replay(journal.read(self._journal))
        return review

    def _decide(self, decide: _Decider) -> Outcome:
        if self._accept is not None:
            self.note(self.review.accept_up_to(self._accept))
        self._tell_summary()
        counts = self.review.counts()
        if self._dry_run or not self.review.proposals:
            return Outcome.WRITE
        if counts.undecided and decide is _ask_on_screen:
            return decide(self, self.review)
        if counts.undecided and sys.stdin.isatty():
            return decide(self, self.review)
        return self._decide_unasked()

    def _decide_unasked(self) -> Outcome:
        """Take what has been accepted, verify it, accept what turns up meanwhile likewise."""
        while self.review.counts().allowed or self.review.counts().denied:
            failures = self.verify(lambda done, total, crate: True)
            new = [proposal for failure in failures for proposal in failure.proposals]
            if not new:
                break
            self.review.add(new)
            if self._accept is None or self.review.accept_up_to(self._accept) is None:
                break
        for proposal in self.review.select("is:undecided"):
            _tell(f"undecided: {proposal.crate} {proposal.version}: {proposal.title}")
        return Outcome.WRITE

    def preview(self) -> tuple[bytes, bytes]:
        """Return Cargo.toml as it is and as it would be."""
        self.workspace.check_manifest(self._raw)
        after = self._raw
        policy = self.policy
        for key, grants in self.review.grants(policy).items():
            after = editor.with_grants(after, key, grants, self.workspace.manifest_path)
        return self._raw, after

    def verify(self, progress: Callable[[int, int, str], bool]) -> list[Failure]:
        """Run the scripts concerned under the grants as they would be."""
        verification = Verification(self.workspace, self.built.build, self.built.units)
        known = frozenset(proposal.id for proposal in self.review.proposals)
        self._failures = verification.run(self.preview()[1], known, progress)
        return self._failures

    def note(self, entry: Entry | None) -> None:
        """Keep one step of the review."""
        if entry is not None and not self._dry_run:
            journal.append(self._journal, entry)

    def _write(self) -> bool:
        """Write the grants; say whether that changed anything."""
        before, after = self.preview()
        if after != before:
            editor.write_atomically(self.workspace.manifest_path, before, after)
            _tell(f"Wrote the grants to {self.workspace.manifest_path}.")
        self._raw = after
        self._journal.unlink(missing_ok=True)
        return after != before

    def _exit_code(self) -> int:
        left = self.review.counts().open
        if left:
            _tell(
                f"{text.count(left, 'decision')} left undecided: `buildperm ci` refuses what they "
                "are about; `buildperm learn` asks again."
            )
        for failure in self._failures:
            _tell(f"not settled: {failure.crate} {failure.version} {failure.sentence}")
        if left or self._failures:
            return ExitCode.UNDECIDED
        return self.built.finished.exit_code

    def _tell_summary(self) -> None:
        scripts = self.built.scripts
        asking = sum(1 for script in scripts if script.findings)
        decisions = len(self.review.proposals)
        if not scripts:
            _tell("No build script has run.")
            return
        _tell("")
        for line in (*text.summary(scripts), *text.warnings(scripts), ""):
            _tell(line)
        what = (
            f"{asking} beyond the baseline and its grants, {text.count(decisions, 'decision')}."
            if decisions
            else "all within the baseline and their grants: nothing to decide."
        )
        _tell(f"{text.count(len(scripts), 'build script')}, {what}")


def _ask_in_text(learning: _Learning, review: Review) -> Outcome:
    return prompt.ask(
        review,
        preview=learning.preview,
        verify=learning.verify,
        journal=learning.note,
        scripts=len(learning.built.scripts),
    )


def _ask_on_screen(learning: _Learning, review: Review) -> Outcome:
    from buildperm.tui.app import ReviewApp  # Textual takes 0.2 s to import.

    app = ReviewApp(
        review,
        preview=learning.preview,
        verify=learning.verify,
        journal=learning.note,
        heading=f"learn  {learning.workspace.project.metadata.root.name}",
        scripts=len(learning.built.scripts),
    )
    return app.run() or Outcome.KEEP


def _tell(line: str) -> None:
    click.echo(printable(line), err=True)
