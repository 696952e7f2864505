"""What `learn` and `review` say before they ask."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from buildperm.policy import removal_proposals
from buildperm.policy.comparison import Comparison
from buildperm.policy.grants import Policy
from buildperm.policy.merging import takes_answer
from buildperm.policy.proposal import Proposal, Reason
from buildperm.policy.review_state import Review
from buildperm.presentation import comparison_facts
from buildperm.printable import printable
from buildperm.report import text
from buildperm.report.compiling import compiling_text
from buildperm.workflow import missing_packages
from buildperm.workflow.build_outcome import how_compiling_is_held
from buildperm.workflow.recording_round import CrateVersion, RecordedScript
from buildperm.workflow.review_changes import ReviewChanges


def summary(
    changes: ReviewChanges, review: Review, comparisons: Mapping[CrateVersion, Comparison]
) -> Iterator[str]:
    """Say what was recorded: everything the first time, afterwards only what has changed."""
    scripts = changes.recorded.scripts
    if not scripts:
        yield "No build script has run, and no procedural macro."
        return
    runs = [script.run for script in scripts]
    yield ""
    if changes.is_first:
        yield from text.summary(runs)
    else:
        yield from _differences(changes, comparisons)
    yield from text.warnings(runs)
    yield from missing_packages.sentences(changes.recorded.failure)
    noted = scripts if changes.is_first else [each for each in scripts if each.crate in comparisons]
    yield from text.notes(script.run for script in noted)
    held = (how_compiling_is_held(each.build.session) for each in changes.recorded.outcomes)
    yield from dict.fromkeys(filter(None, (compiling_text(*each) for each in held)))
    packages = changes.workspace.project.lock.packages
    locked = [(each.name, each.version, each.source) for each in packages]
    for key, name in removal_proposals.unmet(changes.policy, locked):
        yield f"`for` of {printable(key)} names {printable(name)}: Cargo.lock has no such package."
    yield ""
    yield needs(changes, review)


def needs(changes: ReviewChanges, review: Review) -> str:
    """Say how many crates need a person, and how many decisions that takes."""
    scripts = changes.recorded.scripts
    asking = review.undecided()
    runs = [script.run for script in scripts]
    made = sum(map(takes_answer, review.proposals)) - len(asking)
    if not asking:
        so_far = "" if changes.recorded.failure is None else " so far, as the build failed"
        if made:
            decided = text.count(made, "decision")
            return f"{decided} {_are(made)} made already: nothing is left to decide{so_far}."
        total = text.tally(runs)
        if any(each.reason is Reason.ASKED for each in review.proposals):
            return f"{total}: nothing to decide{so_far}; what was refused and can only be is noted."
        return f"{total}, all within the baseline and their grants: nothing to decide{so_far}."
    crates = {(proposal.crate, proposal.version) for proposal in asking}
    accesses = sum(len(proposal.evidence) for proposal in asking)
    about = f" about {text.count(accesses, 'access', 'accesses')}" if accesses else ""
    others = f"; {made:,} {_are(made)} made already" if made else ""
    verb = "needs" if len(crates) == 1 else "need"
    decisions = text.count(len(asking), "decision")
    return f"{len(crates)} of {text.crate_tally(runs)} {verb} you: {decisions}{about}{others}."


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _differences(
    changes: ReviewChanges, comparisons: Mapping[CrateVersion, Comparison]
) -> Iterator[str]:
    same = []
    quiet = 0
    for script in changes.ordered():
        compared = comparisons.get(script.crate)
        if compared is None:
            same += [] if script.run.findings else [script.run]
            continue
        if text.is_quiet_macro(script.run) and not (compared.new or compared.gone):
            quiet += 1
            continue
        yield _headline(script, compared)
        if len(compared.way) > 1 and not compared.before:
            yield f"  gets in through {' > '.join(compared.way)}"
        for cause in compared.causes if compared.before else ():
            yield f"  {cause}"
    if quiet:
        yield f"{text.count(quiet, 'new or updated procedural macro')} did nothing new."
    if same:
        yield f"{text.tally(same)} as reviewed."


def _headline(script: RecordedScript, compared: Comparison) -> str:
    asked = _decisions(script.run.findings)
    if not compared.before:
        what = comparison_facts.what_text(compared)
        return f"{compared.crate} {compared.version}: a new {what}; {asked}"
    version = compared.version
    versions = version if compared.before == version else f"{compared.before} -> {version}"
    if not (compared.new or compared.gone):
        return f"{compared.crate} {versions}: does what it did; {asked}"
    moved = f"{len(compared.new)} new, {len(compared.gone)} gone, {len(compared.same)} as before"
    return f"{compared.crate} {versions}: {moved}; {asked}"


def _decisions(findings: tuple[Proposal, ...]) -> str:
    left = sum(map(takes_answer, findings))
    return text.count(left, "decision") if left else "carried over"


def text_of_written(paths: Sequence[Path], *, is_whole: bool) -> str:
    """Say what was written, and what comes next.

    Unless `is_whole`, `ci` would fail: something is left to decide, or the build fails by itself.
    """
    named = " and ".join(_short(path) for path in paths)
    it = "both" if len(paths) > 1 else "it"
    then = f"Commit {it}; then `buildperm ci`. " if is_whole else ""
    return f"Wrote {named}. {then}`buildperm undo` takes it back."


def texts_of_denied(before: Policy, after: Policy) -> Iterator[str]:
    """Say of each crate that was denied something now what comes of it, and what to do."""
    for key, said in sorted(after.crates.items()):
        had = before.crates.get(key)
        denied = len(said.denials - (had.denials if had else frozenset()))
        if denied:
            yield (
                f"{printable(key)}: {text.count(denied, 'denial')}. Its build "
                "fails where it cannot do without; if you do not trust it, remove or pin it."
            )


def text_of_nothing_written(review: Review, journal: Path) -> str:
    """Say that nothing was written, and what becomes of the decisions."""
    counts = review.counts()
    if not (counts.allowed or counts.denied or counts.later):
        return "No decisions made; nothing written."
    return f"Nothing written; {_short(journal)} keeps the decisions for the next time."


def _short(path: Path) -> str:
    """Return a path as it is called from here, where that is shorter."""
    here = os.path.relpath(path)
    return str(path) if here.startswith("..") else here
