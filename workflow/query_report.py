"""The answer of `why`, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from buildperm.cargo.target_directory import TargetDirectory
from buildperm.policy import lock_file
from buildperm.policy.access import COMMANDS_MOST, LOOKED, Access, Outcome
from buildperm.policy.explanation import (
    AllowedByBaseline,
    AllowedByPreset,
    AllowedByRule,
    Denied,
    Explanation,
    HabitualAttempt,
    NeverGrantable,
    NotGranted,
    NotInForce,
    Sensitive,
    is_allowed,
)
from buildperm.policy.role import SubjectKind
from buildperm.presentation import console
from buildperm.presentation.proposal_facts import command_lines
from buildperm.presentation.wording import chain_text
from buildperm.printable import shown
from buildperm.report.shell_line import example_text
from buildperm.report.text import count
from buildperm.workflow import evidence
from buildperm.workflow.evidence import RecordedRun
from buildperm.workflow.manifest_lines import ManifestLines
from buildperm.workflow.query import QueryParser
from buildperm.workflow.query_result import QueryResult
from buildperm.workflow.script_lookup import find_script, open_view

VERSION = 2
"""Of the JSON document."""

BECAUSE: dict[type[Explanation], str] = {
    AllowedByBaseline: "baseline",
    AllowedByPreset: "preset",
    AllowedByRule: "rule",
    NotInForce: "not-in-force",
    Denied: "denied",
    Sensitive: "sensitive",
    NeverGrantable: "never",
    HabitualAttempt: "of-no-concern",
    NotGranted: "not-granted",
}
"""What the JSON document calls each explanation."""

_MOST_RUNS = 6
_OF_COMPILING = ("read:", "env:")  # What can be asked about where nothing else of a crate runs.


@dataclass(frozen=True, slots=True)
class QueryReport:
    """One question about a crate, answered."""

    result: QueryResult

    @classmethod
    def of(cls, words: Sequence[str], crate: str, access: str, folder: Path) -> QueryReport:
        """Find the answer; nothing is built and nothing is written.

        Args:
            words: For Cargo.
            crate: Which crate is meant.
            access: What the question is about, in the user's words.
            folder: Where the command was given.

        Raises:
            BuildpermError: The question is not clear, or something is broken.
        """
        view = open_view(words)
        compiling = access.startswith(_OF_COMPILING) or "/" in access
        script = find_script(view, crate, compiling=compiling)
        snapshots = lock_file.read(view.workspace.project.metadata.root / lock_file.NAME)
        known = evidence.gather(
            [script], view.targets, snapshots, console.print_warning, view.reach.members
        )[script.package.id]
        query = QueryParser(view, script, known.runs, folder).parse(access, known.accesses())
        lines = ManifestLines(view.workspace.manifest, view.workspace.manifest_path)
        policy, report = view.workspace.policy, TargetDirectory(view.targets[1]).report
        return cls(QueryResult(script, policy, known, snapshots.values(), lines, query, report))

    @property
    def is_allowed(self) -> bool:
        """Tell whether the build script may do it."""
        return is_allowed(self.result.explanation)

    def lines(self) -> Iterator[str]:
        """Return plain lines, the verdict first."""
        yield f"{self.result.sentence}."
        yield from self._where()
        if self.result.proposal is not None and isinstance(self.result.explanation, NotGranted):
            risk = self.result.proposal.risk.name.lower()
            yield f"Risk {risk}: {shown(self.result.proposal.notes[0])}"
        if len(self.result.script.way) > 1:
            way = " > ".join(self.result.script.way)
            yield f"{self.result.script.title} gets in through {way}."
        yield ""
        yield from _evidence_lines(self.result)
        yield ""
        yield from self.result.remedy()

    def _where(self) -> Iterator[str]:
        """Say where a grant holds: macros act for whoever uses them."""
        script = self.result.script
        is_granted = isinstance(self.result.explanation, AllowedByRule | AllowedByPreset)
        if not is_granted or SubjectKind.MACRO not in script.subjects:
            return
        consumers = sorted(script.grants.consumers) if script.grants else []
        others = f", and in {', '.join(map(shown, consumers))}" if consumers else ""
        yield f"For its macros that holds where packages of this workspace use them{others}."

    def document(self) -> dict[str, object]:
        """Return one JSON document."""
        package, rule, proposal = self.result.script.package, self.result.rule, self.result.proposal
        return {
            "version": VERSION,
            "crate": self.result.script.key,
            "name": package.name,
            "package_version": package.version,
            "source": package.source,
            "way": list(self.result.script.way),
            "subjects": [str(subject) for subject in self.result.script.subjects],
            "access": {"kind": str(self.result.query.kind), "target": self.result.query.target},
            "allowed": is_allowed(self.result.explanation),
            "because": BECAUSE[type(self.result.explanation)],
            "sentence": self.result.sentence,
            "rule": {"kind": str(rule.kind), "pattern": rule.pattern} if rule else None,
            "preset": self.result.preset,
            "line": self.result.line,
            "risk": proposal.risk.name.lower() if proposal else "",
            "reasons": list(proposal.notes) if proposal else [],
            "suggested_grants": ["\n".join(self.result.grant)] if self.result.grant else [],
            "reviewed": [
                {
                    "version": snapshot.version,
                    "subject": str(sighting.context.role.subject),
                    "consumer": sighting.context.role.consumer,
                    "target": sighting.context.target,
                    "profile": sighting.context.profile,
                    "features": list(sighting.context.features),
                    "outcome": str(outcome),
                }
                for snapshot, sighting, outcome in self.result.reviewed()
            ],
            "recordings": [
                {
                    "mode": run.mode,
                    "command": run.command,
                    "subject": str(run.context.role.subject),
                    "consumer": run.context.role.consumer,
                    "target": run.context.target,
                    "profile": run.context.profile,
                    "features": list(run.context.features),
                    "at": datetime.fromtimestamp(run.modified_s, UTC).isoformat("T", "seconds"),
                    "outcome": str(access.outcome),
                    "count": access.count,
                    "chains": [list(chain) for chain in access.chains],
                    "example": access.example,
                    "commands": [list(each) for each in access.commands],
                }
                for run, access in self.result.recorded()
            ],
            "recorded_runs": len(self.result.known.runs),
        }


def _went(result: QueryResult, outcome: Outcome, *, is_learning: bool, by_system: str = "") -> str:
    """Say how it went then, where that is not how it would go now."""
    if by_system:
        return f"refused by the system itself ({by_system})"
    if outcome is Outcome.DONE and is_learning and not is_allowed(result.explanation):
        return "let through while learning"
    return str(outcome)


def _run_went(result: QueryResult, run: RecordedRun, access: Access) -> str:
    if access.is_answered_look:
        return LOOKED
    told = _went(
        result,
        access.outcome,
        is_learning=run.is_learning,
        by_system=access.refused_by_system,
    )
    return told.removesuffix(f" {run.manner}")  # Stands before it.


def _evidence_lines(result: QueryResult) -> Iterator[str]:
    reviewed, recorded, runs = list(result.reviewed()), list(result.recorded()), result.known.runs
    for snapshot, sighting, outcome in reviewed:
        yield (
            f"Seen when {snapshot.crate} {snapshot.version} was reviewed ({lock_file.NAME}): "
            f"{_went(result, outcome, is_learning=True)}; {evidence.context_text(sighting.context)}"
        )
    for run, access in recorded[:_MOST_RUNS]:
        yield (
            f"Seen {count(access.count, 'time')} {run.circumstance} "
            f"{evidence.time_ago(run.modified_s)}: "
            f"{_run_went(result, run, access)}; "
            f"{evidence.context_text(run.context)}"
        )
        for chain in access.chains:
            yield f"    by {chain_text(chain)}"
        for line in command_lines(access, COMMANDS_MOST):
            yield f"    as {line}"
        if not access.commands and access.example not in ("", access.target):
            yield f"    for example: {shown(example_text(access))}"
    if len(recorded) > _MOST_RUNS:
        yield f"Seen in {len(recorded) - _MOST_RUNS} more recordings."
    if not (reviewed or recorded):
        yield (
            f"Never seen in {count(len(runs), 'recording')} here (the newest "
            f"{evidence.time_ago(runs[0].modified_s)}) or in {lock_file.NAME}."
            if runs
            else f"Never seen: no recording of this {_what(result)} here, and nothing of it in "
            f"{lock_file.NAME}. `buildperm learn` records."
        )
    for run in runs:
        if run.incomplete:
            yield (
                f"The recording made {run.circumstance} may not show everything: "
                f"{shown(run.incomplete)}."
            )


def _what(result: QueryResult) -> str:
    nouns = [subject.noun for subject in result.script.subjects]
    return "crate" if SubjectKind.COMPILE in result.script.subjects else " and ".join(nouns)
