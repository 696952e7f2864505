"""What `ci` does: build with every build script held to its grants, and report."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from buildperm.cargo import result_folder
from buildperm.cargo.project import CI
from buildperm.cargo.supervised_build import Observation, SupervisedBuild
from buildperm.errors import ExitCode
from buildperm.policy.runtime_table import REMOTE, WASI
from buildperm.presentation import console
from buildperm.report import next_command, refused_text
from buildperm.report.finding import Report
from buildperm.report.formats import FORMATS
from buildperm.sandbox.selftest import SelfTest
from buildperm.workflow import (
    missing_packages,
    remote_greeting,
    remote_settings,
    result_inventory,
)
from buildperm.workflow.build_outcome import run_held_build
from buildperm.workflow.enforcement import Enforcement
from buildperm.workflow.grant_comparison import compare
from buildperm.workflow.report_outputs import ReportOutputs, replace_file
from buildperm.workflow.snapshot_file import open_snapshots
from buildperm.workflow.workspace import open_workspace


@dataclass(frozen=True, slots=True)
class EnforcementOptions:
    """What the command line says about one enforced build."""

    against: str | None  # The commit with which the grants are compared; None for none.
    allow_wider: bool  # Wider grants are only a warning.
    require_reviewed: bool  # Build nothing where a build script was not reviewed.
    deny_unused: bool  # Fail where a grant is not used.
    is_warning: bool  # Findings do not fail the command.
    observes_all: bool  # Also what compilers read.
    cache: bool | None = None  # Look for results of scripts; None: as the workspace says.
    beside: str = ""  # Scripts also run otherwise: one of `runtime_table.BESIDE`.

    @property
    def observation(self) -> Observation:
        """How much is recorded: what was not seen cannot be called unused."""
        return "full" if self.observes_all or self.deny_unused else "light"


def build(words: Sequence[str], outputs: ReportOutputs, options: EnforcementOptions) -> int:
    """Build, and report; return the exit code.

    Args:
        words: For Cargo.
        outputs: Where the reports go.
        options: What the command line says.

    Raises:
        BuildpermError: A build script cannot be held, or a report cannot be written.
    """
    workspace = open_workspace(words, default=CI)
    remote = wasi = None
    if options.beside == WASI:
        from buildperm.workflow import wasi_settings  # Only now: nobody else needs it.

        wasi_settings.check_required(workspace.policy.require)
        wasi = wasi_settings.described(workspace.project.toolchain, os.environ)
    if options.beside == REMOTE:
        remote_settings.check_required(workspace.policy.require)
        remote = remote_settings.described(os.environ)
        remote["silent"] = remote_greeting.greet(remote)
    snapshots = open_snapshots(workspace)
    lock = workspace.project.metadata.root / "Cargo.lock"
    outputs.check((workspace.manifest_path, lock, snapshots.path))
    compared = compare(
        workspace,
        snapshots,
        options.against,
        allow_wider=options.allow_wider,
        is_warning=options.is_warning,
    )
    for line in (*compared.notes, *(() if outputs.has_prose else workspace.young())):
        console.print_message(line)
    enforcement = Enforcement(
        workspace,
        snapshots.snapshots,
        is_warning=options.is_warning,
        other_findings=compared.findings,
        words=words,
    )
    is_unreviewed = options.require_reviewed and enforcement.has_unreviewed()
    is_wider = compared.fails(allow_wider=options.allow_wider)
    if (is_unreviewed or is_wider) and not options.is_warning:
        report = enforcement.not_built()
        outputs.write(report)
        return report.exit_code
    is_restored = workspace.policy.cache if options.cache is None else options.cache
    shared = workspace.policy.cache_store
    if is_restored and (why := result_folder.problem(shared.keys if shared else ())):
        console.print_warning(f"nothing is restored or kept: {why}")
        is_restored = False
    proof = SelfTest(workspace.runtime)
    try:
        held = SupervisedBuild(
            workspace.project,
            workspace.policy,
            "enforcing",
            # Standard output is for the report: what Cargo prints there would break the document.
            on_output=_to_standard_error if outputs.is_document else None,
            observation=options.observation,
            command="ci",
            is_cached=is_restored or bool(options.beside),
        )
        if remote is not None:
            held.session["remote"] = remote
        if wasi is not None:
            held.session["wasi"] = wasi
        if options.beside:
            held.session["cache"]["restores"] = is_restored
    finally:
        proof.result()
    outcome = run_held_build(held, workspace)
    if kept := held.session.get("cache"):
        result_inventory.hold_to_limit(kept["folder"])
    if outcome.finished.interrupted:
        return ExitCode.INTERRUPTED
    if wasi is not None:
        from buildperm.workflow import wasi_comparison  # Likewise.

        outcome = wasi_comparison.compared(outcome, workspace, wasi)
    report = enforcement.report(outcome, deny_unused=options.deny_unused)
    for line in missing_packages.sentences(report.run.failure if report.run else None):
        console.print_message(line)
    report = _kept(report, held.target.report, outputs.json, words)
    outputs.write(report, enforcement.patch(outcome) if outputs.has_patch else b"")
    return report.exit_code


def _kept(report: Report, path: Path, asked: Path | None, words: Sequence[str]) -> Report:
    """Keep what a review decides about, and name it as the next command.

    What a build is refused can depend on its surroundings: another one may not show it again.

    Args:
        report: What is to be told.
        path: Where the last report that refuses something is kept for other commands.
        asked: Where else a JSON report is written; it is the better name for people.
        words: For Cargo.
    """
    if not any(map(refused_text.is_refusal, report.findings)):
        path.unlink(missing_ok=True)
        return report
    place = asked or path
    command, fetch = next_command.decide(place, words), ""
    if os.environ.get("CI", "").lower() in ("true", "1"):  # Nobody can decide anything there.
        command, fetch = next_command.decide(place.name, words), os.path.relpath(place)
    findings = tuple(
        replace(each, command=command, fetch=fetch) if refused_text.is_refusal(each) else each
        for each in report.findings
    )
    told = replace(report, findings=findings)
    try:
        replace_file(path, FORMATS["json"].document(told).encode())
    except OSError:
        return told if asked else report  # A review that builds shows what it can.
    return told


def _to_standard_error(piece: bytes) -> None:
    sys.stderr.buffer.write(piece)
    sys.stderr.buffer.flush()
