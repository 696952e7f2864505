"""Findings: what every report contains, each format in its own way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from buildperm.policy.access import Access
from buildperm.policy.pending_review import Pending
from buildperm.policy.proposal import Risk
from buildperm.policy.role import Role
from buildperm.report.build_run import BuildRun


class Level(StrEnum):
    """How much a finding matters; the words are SARIF's (2.1.0, 3.27.10)."""

    ERROR = "error"  # The command fails because of it.
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that somebody should know, about one crate."""

    rule: str  # Stable: a kind of access, or one of those in `report.rule_catalogue`.
    level: Level
    crate: str  # Key in Cargo.toml, or `all build scripts`.
    version: str
    title: str  # One sentence without a full stop, in notation where a script had a say in it.
    details: tuple[str, ...]  # Further sentences: reasons, then evidence with process chains.
    way: tuple[str, ...]  # How the crate got into the graph, from a workspace member on.
    remedy: tuple[str, ...]  # Lines of Cargo.toml that would allow it; empty where none do.
    command: str  # What settles it: `buildperm review`; empty where no command does.
    line: int  # 1-based line of Cargo.toml that it is about: grant, crate table or dependency.
    fingerprint: str  # Stable over runs, versions and lines; hexadecimal digits.
    evidence: tuple[Access, ...] = ()
    risk: Risk | None = None  # None where no access was judged.
    is_new: bool = False  # About a crate that was never reviewed in any version.
    roles: tuple[Role, ...] = ()  # What of the crate did it, and for whom; none where nothing ran.
    summary: str = ""  # Of accesses that were judged: what they would do, without who.
    reasons: tuple[str, ...] = ()  # Those of the details that speak for the risk.
    lacks_review: bool = False  # It is granted, and would be in force if the version were reviewed.
    is_preset: bool = False  # One preset allows all of it.
    theft: tuple[Access, Access] | None = None  # A secret and a way out: it reaches for both.
    settling: tuple[str, ...] = ()  # Lines of Cargo.toml for all refusals of the crate at once.
    fetch: str = ""  # The file that the command needs from the machine of this build.


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one command; every format is a function from it to a text."""

    run: BuildRun | None  # None where nothing was built.
    findings: tuple[Finding, ...]
    workspace: str  # Its name, in notation.
    manifest: str  # The root Cargo.toml, relative to the repository, with `/`: `Cargo.toml`.
    exit_code: int  # Of the command: 0 where all is well.
    members: tuple[str, ...] = ()  # Names of the packages of the workspace, sorted.
    pending: tuple[Pending, ...] = ()  # What was not reviewed as it is now.
    unused: tuple[tuple[str, str], ...] = ()  # Key in Cargo.toml, and grant: `exec:perl`.
    command: str = "buildperm ci"  # What makes this report once more.
    total: str = ""  # All that there is to review: `3 build scripts`; empty if nobody counted.
    home: str = "workspace.metadata.buildperm"  # The path of the grant table, as TOML writes it.


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings so that what is cut off at the end of a report matters least."""
    levels = list(Level)
    return sorted(
        findings,
        key=lambda finding: (
            levels.index(finding.level),
            # A run that buildperm had to end is as grave as anything that was refused.
            -(Risk.CRITICAL if finding.rule == "failed" else finding.risk or Risk.LOW),
            not finding.is_new,
            finding.crate,
            finding.version,
            finding.rule,
            finding.title,
            finding.fingerprint,
        ),
    )
