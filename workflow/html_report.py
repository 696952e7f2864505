"""What `report` does: puts everything that is known of a workspace's builds on one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from buildperm.cargo import claim
from buildperm.errors import BuildpermError
from buildperm.policy import lock_file
from buildperm.policy.access import Access
from buildperm.policy.combination import combine
from buildperm.policy.grants import Policy
from buildperm.policy.role import SubjectKind
from buildperm.policy.snapshot import Snapshot
from buildperm.presentation import console
from buildperm.presentation.crate_account import AREAS, CrateAccount, map_cells
from buildperm.presentation.page_overview import key_figures, overall_verdict, touched_targets
from buildperm.report import html_document
from buildperm.report.html_page import (
    GrantRow,
    MapRow,
    ReportPage,
)
from buildperm.report.text import count
from buildperm.workflow import evidence, root_report
from buildperm.workflow.crate_chapters import ChapterWriter
from buildperm.workflow.evidence import Evidence
from buildperm.workflow.grant_inventory import GrantTable, tables
from buildperm.workflow.grant_rows import grant_rows
from buildperm.workflow.line_history import blame
from buildperm.workflow.manifest_lines import ManifestLines
from buildperm.workflow.report_outputs import refuse_foreign, replace_file
from buildperm.workflow.reported_accesses import ReportedAccesses
from buildperm.workflow.script_lookup import FoundScript, WorkspaceView, find_scripts, open_view

NAME = "report.html"
"""Of the file, where nothing else is asked for."""

_STANDARD_OUTPUT = "-"

_FOLDERS = (
    ("$WORKSPACE", "the folder of the workspace"),
    ("$MANIFEST_DIR", "the folder of the crate itself"),
    ("$OUT_DIR", "the folder that Cargo gives to a build script for its output"),
    ("$TARGET_DIR", "where Cargo builds"),
    ("$CARGO_HOME", "Cargo's own folder, with sources and settings"),
    ("$SYSROOT", "the Rust tool chain"),
    ("$HOME", "the home folder of whoever built"),
    ("$TMP", "a folder for temporary files that one run alone had"),
)


@dataclass(frozen=True, slots=True)
class _ToldCrate:
    script: FoundScript
    known: Evidence
    is_reported: bool  # By a report from elsewhere.
    account: CrateAccount
    consumers: frozenset[str]


def write(
    words: Sequence[str],
    crates: Sequence[str],
    output: Path | None,
    warn: Callable[[str], None],
    reported: str | None = None,
) -> Path | None:
    """Write the report of what was recorded, and return where it is; None for standard output.

    Args:
        words: For Cargo.
        crates: Which ones are wanted; all of them if none is named.
        output: The file, or `-`; None for `report.html` where buildperm keeps its own.
        reported: The JSON report of a build elsewhere that is to be told, too.
        warn: Gets a line about each recording that cannot be used.

    Raises:
        BuildpermError: Nothing was recorded, a crate is not here, or the file cannot be written.
    """
    view = open_view(words)
    kept = view.workspace.project.metadata.target_directory / "buildperm" / NAME
    path = output or kept
    is_printed = str(output) == _STANDARD_OUTPUT
    if not is_printed:
        refuse_foreign(path, lambda head: html_document.MARK.encode() in head, "report")
    text = html_document.document(_make(view, crates, reported, warn))
    if is_printed:
        console.write(text)
        return None
    try:
        claim.make(view.workspace.project.metadata.target_directory) if output is None else None
        replace_file(path, text.encode())
    except OSError as error:
        raise BuildpermError(
            f"cannot write the report {path}: {error.strerror}",
            hint="Name a file in a folder that is there and that you may write: -o FILE.",
        ) from error
    return path


def _make(
    view: WorkspaceView, crates: Sequence[str], reported: str | None, warn: Callable[[str], None]
) -> ReportPage:
    snapshots = lock_file.read(view.workspace.project.metadata.root / lock_file.NAME)
    warnings: list[str] = []

    def note(line: str) -> None:
        warnings.append(line)
        warn(line)

    wanted = _wanted(view, crates)
    known = evidence.gather(wanted, view.targets, snapshots, note, view.reach.members)
    elsewhere: Mapping[str, tuple[Access, ...]] = {}
    if reported is not None:
        told_there = ReportedAccesses.read(reported, view.workspace)
        elsewhere, reported = told_there.by_package, Path(reported).name
        for stranger in told_there.strangers:
            note(f"left out: {stranger}")
    told = [
        _told(view, script, known[script.package.id], elsewhere.get(script.package.id))
        for script in wanted
    ]
    seen = [each for each in told if each.is_reported or not each.known.is_empty]
    if not seen:
        raise BuildpermError(
            "nothing is known of what ran in a build here",
            hint="Run `buildperm learn`, then `buildperm report` again.",
        )
    seen.sort(key=lambda each: (each.account.severity.rank, each.script.title))
    found_tables, rows = _grants(view, snapshots, wanted)
    writer = ChapterWriter()
    chapters = [
        writer.chapter(
            f"crate-{number}",
            each.script,
            each.known,
            each.account,
            each.consumers,
            reported if each.is_reported else None,
            rows.get(each.script.key, ()),
        )
        for number, each in enumerate(seen, 1)
    ]
    accounts = [each.account for each in seen]
    touched, touched_left_out = touched_targets(chapters, accounts)
    map_rows = tuple(
        MapRow(chapter.anchor, f"{chapter.name} {chapter.version}", map_cells(account))
        for chapter, account in zip(chapters, accounts, strict=True)
        if account.beyond
    )
    keys = {each.script.key for each in seen}
    severity = min((each.severity for each in accounts), key=lambda one: one.rank)
    policy = view.workspace.policy
    return ReportPage(
        workspace=view.workspace.name,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        source=" ".join(
            filter(None, (_source(seen, len(wanted) - len(seen), reported), _roots(seen, policy)))
        ),
        verdict=overall_verdict(chapters, accounts),
        severity=severity,
        figures=tuple(key_figures(accounts)),
        chapters=tuple(chapters),
        areas=AREAS,
        map_rows=map_rows,
        touched=tuple(touched),
        touched_left_out=touched_left_out,
        quiet=len(chapters) - len(map_rows),
        other_grants=tuple(
            (table.key, tuple(rows[table.key])) for table in found_tables if table.key not in keys
        )
        if not crates
        else (),
        folders=_FOLDERS,
        warnings=tuple(warnings),
    )


def _wanted(view: WorkspaceView, crates: Sequence[str]) -> list[FoundScript]:
    if not crates:
        return [*view.scripts, *view.others]
    found = (script for word in crates for script in find_scripts(view, word, compiling=True))
    return list({script.package.id: script for script in found}.values())


def _told(
    view: WorkspaceView,
    script: FoundScript,
    known: Evidence,
    elsewhere: tuple[Access, ...] | None,
) -> _ToldCrate:
    consumers = view.reach.named(script.grants.consumers) if script.grants else frozenset[str]()
    account = CrateAccount.of(
        combine([known.accesses(), elsewhere or ()]),
        script.grants,
        script.package.revision,
        script.subjects,
        consumers,
    )
    return _ToldCrate(script, known, elsewhere is not None, account, frozenset(consumers))


def _grants(
    view: WorkspaceView,
    snapshots: Mapping[tuple[str, str], Snapshot],
    wanted: Sequence[FoundScript],
) -> tuple[list[GrantTable], dict[str, tuple[GrantRow, ...]]]:
    """Return the tables of Cargo.toml, and the rows that each of them is told in."""
    workspace = view.workspace
    lines = ManifestLines(workspace.manifest, workspace.manifest_path)
    running = {script.package.id for script in view.scripts}
    scripts = [script for script in wanted if script.package.id in running]
    found = tables(view, lines, snapshots, scripts, sorted(workspace.policy.crates))
    changes = blame(workspace.manifest_path, (line for table in found for line in table.lines()))
    return found, {table.key: tuple(grant_rows(table, lines, changes)) for table in found}


def _roots(seen: Sequence[_ToldCrate], policy: Policy) -> str:
    """Say what build scripts saw as the system: macros always see that of the machine."""
    runs = (run for each in seen for run in each.known.runs)
    scripts = (run for run in runs if run.context.role.subject is SubjectKind.SCRIPT)
    return root_report.seen(policy, (run.root_digest for run in scripts))


def _source(seen: Sequence[_ToldCrate], unseen: int, reported: str | None) -> str:
    runs = sum(len(each.known.runs) for each in seen)
    told = [f"{count(runs, 'recording')} of this machine"] if runs else []
    if any(not each.known.runs and not each.known.is_empty for each in seen):
        told.append(lock_file.NAME)
    if reported is not None:
        told.append(f"the report `{reported}` of a build elsewhere")
    without = f" {count(unseen, 'other crate')} did not run here." if unseen else ""
    return f"Made from {', '.join(told)} and Cargo.toml.{without}"
