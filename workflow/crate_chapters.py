"""Chapters of the HTML report: all that is known of each crate, within bounds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from buildperm.policy import lock_file, proposals
from buildperm.policy.access import Access
from buildperm.policy.compilation import effective
from buildperm.policy.kinds import LISTED, Kind
from buildperm.policy.role import SubjectKind
from buildperm.policy.snapshot import Context
from buildperm.presentation.crate_account import CrateAccount, JudgedAccess, Standing
from buildperm.presentation.process_outline import duration_text, status_text
from buildperm.presentation.process_timeline import TimeAxis, marks, process_rows, with_tokens
from buildperm.presentation.proposal_facts import command_lines
from buildperm.presentation.wording import chain_text, outcome_word, risk_word
from buildperm.report.html_page import (
    AccessRow,
    BaselineCount,
    CrateChapter,
    GrantRow,
    OpenQuestion,
    RunOutline,
    Severity,
)
from buildperm.report.shell_line import recalled_line
from buildperm.report.text import count
from buildperm.workflow import evidence, root_report
from buildperm.workflow.evidence import Evidence, RecordedRun
from buildperm.workflow.script_lookup import FoundScript

_RUNS_MOST = 4  # Of one crate.
_COMMANDS_MOST = 40  # Of one program.
_NAMES_MOST = 25  # Of files in one folder.
_DIGEST_SHORT = len("sha256:") + 12  # The source of a chapter has all of it.
_FOLDED_FROM = 6  # So many files in one folder are one row.
_FILES = (Kind.READ, Kind.WRITE)


@dataclass(slots=True)
class Allotment:
    """How many rows of one sort a page may still have."""

    left: int
    most: int  # For one crate or run, even while there are more.
    least: int  # For one crate or run, even when there are no more.

    def take(self, wanted: int) -> int:
        """Say how many of `wanted` rows may be made."""
        taken = min(wanted, self.most, max(self.left, self.least))
        self.left -= taken
        return taken


class ChapterWriter:
    """Writes chapters; the first ones have the most room."""

    def __init__(self) -> None:
        """Prepare for one page."""
        self._processes = Allotment(4_000, 300, 3)
        self._accesses = Allotment(10_000, 200, 10)
        self._examples = Allotment(4_000, 12, 0)

    def chapter(
        self,
        anchor: str,
        script: FoundScript,
        known: Evidence,
        account: CrateAccount,
        consumers: Collection[str],
        reported: str | None,
        grants: Sequence[GrantRow],
    ) -> CrateChapter:
        """Write the chapter of one crate.

        Args:
            anchor: What the page calls it.
            script: The crate.
            known: What it was seen doing.
            account: The same, judged.
            consumers: Packages outside the workspace for which its macros are granted it, too.
            reported: The report of a build elsewhere that tells of it; None if none does.
            grants: What Cargo.toml says of it.
        """
        folded = _folded(account.beyond)
        accesses = folded[: self._accesses.take(len(folded))]
        runs = _shown_runs(known.runs)
        places = [run.places for run in known.runs]
        moments: dict[tuple[Kind, str], str] = {}
        for run in reversed(runs):  # What the first one does not tell, another may.
            moments |= _moments(run)
        return CrateChapter(
            anchor=anchor,
            name=script.package.name,
            version=script.package.version,
            what=", ".join(subject.run for subject in script.subjects),
            way=" > ".join(script.way) if len(script.way) > 1 else "",
            severity=account.severity,
            verdict=account.verdict(),
            deeds=tuple(account.deeds()),
            questions=tuple(_questions(script, account, consumers)),
            accesses=tuple(_row(each, moments, places) for each in accesses),
            accesses_left_out=sum(map(len, folded[len(accesses) :])),
            baseline=tuple(self._baseline(account)),
            runs=tuple(self._runs(runs[:_RUNS_MOST], account)),
            runs_left_out=max(0, len(runs) - _RUNS_MOST),
            grants=(*grants, *_end_of_grants(script)),
            reason=script.grants.reason if script.grants else "",
            source=_source(known, reported),
        )

    def _baseline(self, account: CrateAccount) -> Iterator[BaselineCount]:
        for kind in LISTED:
            targets = [access.target for access in account.ordinary if access.kind is kind]
            if targets:
                examples = targets[: self._examples.take(len(targets))]
                yield BaselineCount(kind.traits.may(), len(targets), tuple(examples))

    def _runs(self, runs: Iterable[RecordedRun], account: CrateAccount) -> Iterator[RunOutline]:
        judged = {(each.access.kind, each.access.target): each for each in account.beyond}
        for run in runs:
            here = [
                JudgedAccess(access, known.standing, known.said, known.risk, known.why)
                for access in run.accesses
                if (known := judged.get((access.kind, access.target))) is not None
            ]
            if len(run.processes) < 2 and not here and not run.end.failure:
                continue  # It did its work alone; the sentences say all of it.
            most = self._processes.take(len(run.processes))
            axis = TimeAxis.of(run.processes, run.end)
            rows, left_out = process_rows(run.processes, axis, run.places, most)
            yield RunOutline(
                title=_run_title(run),
                duration=f"took {duration_text(axis.duration_ns)}",
                ending=with_tokens(run.end.failure, run.places)
                or (status_text(run.end.status) if run.end.status else ""),
                warning="" if run.end.failure else run.incomplete,
                processes=rows,
                left_out=left_out,
                marks=marks(here, axis),
                has_times=any(row.started for row in rows),
            )


def _end_of_grants(script: FoundScript) -> Iterator[GrantRow]:
    if script.grants and script.grants.expires:
        yield GrantRow(f"until {script.grants.expires}, not longer", "", Severity.LOW, ())


def _questions(
    script: FoundScript, account: CrateAccount, consumers: Collection[str]
) -> Iterator[OpenQuestion]:
    held = effective(script.grants, script.package.revision)
    everything = [each.access for each in account.judged]
    said: set[str] = set()  # Each fact once.
    for asked in proposals.propose(
        script.key,
        script.package.version,
        everything,
        held.rules,
        held.denials,
        consumers,
    ):
        wanted = [f"It is `{asked.wanted_by}` that wants it."] if asked.wanted_by else []
        notes = [
            note for note in (*wanted, *asked.notes, asked.locked) if note and note not in said
        ]
        said.update(notes)
        yield OpenQuestion(asked.title, Severity.of(asked.risk), tuple(notes))


def _folded(beyond: Iterable[JudgedAccess]) -> list[list[JudgedAccess]]:
    """Put together what is the same of many files in one folder; all else stays alone."""
    groups: dict[tuple[object, ...], list[JudgedAccess]] = {}
    for each in beyond:
        access = each.access
        folder = access.target.rpartition("/")[0] if access.kind in _FILES else access.target
        key = access.kind, folder, access.outcome, each.said, each.risk, access.sensitive
        groups.setdefault(key, []).append(each)
    return [
        piece
        for group in groups.values()
        for piece in ([group] if len(group) >= _FOLDED_FROM else [[each] for each in group])
    ]


def _row(
    group: Sequence[JudgedAccess],
    moments: Mapping[tuple[Kind, str], str],
    places: Iterable[Mapping[str, bytes]],
) -> AccessRow:
    judged, access = group[0], group[0].access
    target, listed = access.target, list(command_lines(_alike(access, places), _COMMANDS_MOST))
    if len(group) > 1:
        folder = access.target.rpartition("/")[0]
        target = f"{count(len(group), 'file')} in {folder}/"
        names = [each.access.target.rpartition("/")[2] for each in group]
        more = [f"and {len(names) - _NAMES_MOST:,} more"] if len(names) > _NAMES_MOST else []
        listed = [*names[:_NAMES_MOST], *more]
    return AccessRow(
        verb=access.kind.traits.verb,
        target=target,
        gloss=access.sensitive,
        outcome=outcome_word(access),
        state=judged.said,
        severity=judged.severity,
        risk=risk_word(judged.risk),
        why="" if judged.standing is Standing.UNDECIDED else judged.why,  # The question has it.
        times=sum(each.access.count for each in group),
        at=moments.get((access.kind, access.target), ""),
        chains=tuple(map(chain_text, access.chains)),
        listed=tuple(listed),
    )


def _alike(access: Access, places: Iterable[Mapping[str, bytes]]) -> Access:
    """Write command lines for a shell, with short names of folders, on which all runs agree."""
    folders = list(places)
    commands: dict[str, int] = {}
    for line, times in access.commands:
        alike = with_tokens(recalled_line(line), *folders)
        commands[alike] = commands.get(alike, 0) + times
    return replace(access, commands=tuple(commands.items()))


def _moments(run: RecordedRun) -> dict[tuple[Kind, str], str]:
    """Say when each access was first made in a run."""
    axis = TimeAxis.of(run.processes, run.end)
    return {(each.kind, each.target): axis.text(each.first_ns) for each in run.accesses}


def _shown_runs(runs: Sequence[RecordedRun]) -> list[RecordedRun]:
    """Return one run of each context: the newest of those that show the most."""
    found: dict[Context, RecordedRun] = {}
    for run in sorted(runs, key=lambda run: run.is_light):
        found.setdefault(run.context, run)
    return list(found.values())


def _run_title(run: RecordedRun) -> str:
    subject = run.context.role.subject.noun
    said = "" if run.context.role.subject is SubjectKind.MACRO else f"{subject}, "
    return (
        f"{said}{evidence.context_text(run.context)}, recorded {run.circumstance} "
        f"{evidence.time_ago(run.modified_s)}{_within(run)}"
    )


def _within(run: RecordedRun) -> str:
    """Say what it saw as the system, shortly; empty where that was the machine's."""
    return f", in the root {run.root_digest[:_DIGEST_SHORT]}…" if run.root_digest else ""


def _source(known: Evidence, reported: str | None) -> str:
    told = []
    if known.runs:
        within = root_report.recorded_in(
            run.root_digest for run in known.runs if run.context.role.subject is SubjectKind.SCRIPT
        )
        runs = count(len(known.runs), "recording")
        told.append(f"{runs} on this machine{', ' if within else ''}{within}")
    elif not known.is_empty:
        told.append(f"{lock_file.NAME}, which leaves out who did it and what everybody may do")
    if reported is not None:
        told.append(f"`{reported}`, which leaves out which processes there were")
    return f"Known from {'; and from '.join(told)}."
