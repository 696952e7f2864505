"""The report for machines: one JSON document, described by `report/ci.schema.json`.

`report.json_reader` reads it back on another machine, which is why it holds every access that
proposals are made from, whether this workspace grants it or not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from buildperm import __version__
from buildperm.policy.access import ITSELF, Access
from buildperm.policy.pending_review import Pending
from buildperm.policy.proposal import Proposal
from buildperm.policy.role import SCRIPT_ALONE, Role
from buildperm.report import build_failure
from buildperm.report.build_run import ScriptRun, evidence
from buildperm.report.finding import Finding, Report, worst_first
from buildperm.report.text import rule_lines

VERSION = 2
"""Of the document; it changes when something is removed or means something else."""


def document(report: Report) -> str:
    """Write `report` as one JSON document with a newline at its end."""
    run = report.run
    content = {
        "version": VERSION,
        "buildperm": __version__,
        "workspace": {"name": report.workspace, "members": list(report.members)},
        "runtime": run.runtime if run else None,
        "landlock_abi": run.landlock_abi if run else None,
        "kernel": run.kernel if run else None,
        **({"root": run.root} if run and run.root else {}),
        "left_open": list(run.left_open) if run else [],
        "cargo_exit": run.cargo_exit if run else None,
        "missing": build_failure.missing_document(run.failure if run else None),
        "exit": report.exit_code,
        "findings": [_finding(finding) for finding in worst_first(report.findings)],
        "pending": [_pending(pending) for pending in report.pending],
        "unused": [{"crate": crate, "grant": grant} for crate, grant in report.unused],
        "compiling": run.compiling or None if run else None,
        "macros": run.macros or None if run else None,
        "scripts": [_script(script, report.home) for script in run.scripts] if run else [],
    }
    return json.dumps(content, indent=2) + "\n"


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "rule": finding.rule,
        "level": str(finding.level),
        "crate": finding.crate,
        "version": finding.version,
        "title": finding.title,
        "details": list(finding.details),
        "way": list(finding.way),
        "remedy": list(finding.remedy),
        "command": finding.command,
        "line": finding.line,
        "fingerprint": finding.fingerprint,
        "risk": None if finding.risk is None else finding.risk.name.lower(),
        "by": _roles(finding.roles),
    }


def _pending(pending: Pending) -> dict[str, object]:
    return {
        "crate": pending.crate,
        "name": pending.name,
        "version": pending.version,
        "source": pending.source,
        "before": pending.before,
        "way": list(pending.way),
        "causes": [
            {"cause": str(cause), "sentence": sentence} for cause, sentence in pending.causes
        ],
        "subjects": [str(subject) for subject in pending.subjects],
    }


def _script(script: ScriptRun, home: str) -> dict[str, object]:
    return {
        "crate": script.crate,
        "version": script.version,
        "source": script.source,
        "way": list(script.way),
        "events": script.events,
        "accesses": script.accesses,
        "duration_ns": script.duration_ns,
        "dropped": script.dropped,
        "observation": "light" if script.is_light else "full",
        **_restored(script),
        **_remote(script),
        **_wasi(script),
        "failed": script.failed,
        "failure": script.failure,
        "programs": list(script.programs),
        "programs_unlisted": script.programs_unlisted,
        "told_dependents": list(script.told),
        "left_out": {
            f"{one.rule.kind} {one.rule.pattern}": one.leads_to for one in script.left_out
        },
        "by": _roles(script.roles),
        "evidence": [access_document(access) for access in evidence(script)],
        "findings": [_proposal(proposal, home) for proposal in script.findings],
    }


def _restored(script: ScriptRun) -> dict[str, object]:
    """Say which results were put back, where any were."""
    found = [{"recorded": at_s, "by": by} for at_s, by in script.restored]
    return {"restored": found} if found else {}


def _remote(script: ScriptRun) -> dict[str, object]:
    """Say which runs were to be on an engine, where any were."""
    found = [{"at": at, "why": why, "kept": is_kept} for at, why, is_kept in script.remote]
    return {"remote": found} if found else {}


def _wasi(script: ScriptRun) -> dict[str, object]:
    """Say which runs were to be as WASI, where any were."""
    found = [
        {"outcome": outcome, "why": why, "compared_s": compared_s}
        for outcome, why, compared_s in script.wasi
    ]
    return {"wasi": found} if found else {}


def _proposal(proposal: Proposal, home: str) -> dict[str, object]:
    return {
        "id": proposal.id,
        "title": proposal.title,
        "risk": proposal.risk.name.lower(),
        "reasons": list(proposal.notes),
        "locked": proposal.locked,
        "by": _roles(proposal.roles),
        "accesses": [access_document(access) for access in proposal.evidence],
        "suggested_grants": []
        if proposal.locked
        else [
            "\n".join(rule_lines(proposal, choice, home))
            for choice in proposal.choices
            if not choice.locked
        ],
    }


def access_document(access: Access) -> dict[str, object]:
    """Write one access, as all documents have it."""
    return {
        "kind": str(access.kind),
        "target": access.target,
        "outcome": str(access.outcome),
        "count": access.count,
        "first_ns": access.first_ns,
        "last_ns": access.last_ns,
        "chains": [list(chain) for chain in access.chains],
        "example": access.example,
        **({"commands": [list(each) for each in access.commands]} if access.commands else {}),
        **({"causes": list(access.causes)} if access.causes != ITSELF else {}),
        "sensitive": access.sensitive,
        "resolved": access.resolved,
        "is_free": access.is_free,
        **({"is_folder": True} if access.is_folder else {}),
        **({"is_whole": True} if access.is_whole else {}),
        **({"is_entry": True} if access.is_entry else {}),
        **({"is_let_through": True} if access.is_let_through else {}),
        **({"is_look": True} if access.is_look else {}),
        **({"refused_by_system": access.refused_by_system} if access.refused_by_system else {}),
        **({} if access.roles == SCRIPT_ALONE else {"by": _roles(access.roles)}),
    }


def _roles(roles: Iterable[Role]) -> list[dict[str, str]]:
    """Write what of a crate did something, and for whom; a consumer is empty but for a macro."""
    return [{"subject": str(role.subject), "consumer": role.consumer} for role in roles]
