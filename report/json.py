"""The report for machines: one JSON document, described by `report/ci.schema.json`."""

from __future__ import annotations

import json

from buildperm import __version__
from buildperm.policy.access import Access
from buildperm.policy.proposal import Proposal
from buildperm.report.run import BuildRun, ScriptRun
from buildperm.report.text import rule_lines

VERSION = 1


def document(run: BuildRun, exit_code: int) -> str:
    """Write `run` as one JSON document with a newline at its end."""
    content = {
        "version": VERSION,
        "buildperm": __version__,
        "runtime": run.runtime,
        "landlock_abi": run.landlock_abi,
        "kernel": run.kernel,
        "left_open": list(run.left_open),
        "cargo_exit": run.cargo_exit,
        "exit": exit_code,
        "scripts": [_script(script) for script in run.scripts],
    }
    return json.dumps(content, indent=2) + "\n"


def _script(script: ScriptRun) -> dict[str, object]:
    return {
        "crate": script.crate,
        "version": script.version,
        "source": script.source,
        "way": list(script.way),
        "events": script.events,
        "accesses": script.accesses,
        "duration_ns": script.duration_ns,
        "dropped": script.dropped,
        "failed": script.failed,
        "failure": script.failure,
        "findings": [_finding(proposal) for proposal in script.findings],
    }


def _finding(proposal: Proposal) -> dict[str, object]:
    return {
        "id": proposal.id,
        "title": proposal.title,
        "risk": proposal.risk.name.lower(),
        "reasons": list(proposal.reasons),
        "locked": proposal.locked,
        "accesses": [_access(access) for access in proposal.evidence],
        "suggested_grants": []
        if proposal.locked
        else ["\n".join(rule_lines(proposal, choice)) for choice in proposal.ladder],
    }


def _access(access: Access) -> dict[str, object]:
    return {
        "kind": str(access.kind),
        "target": access.target,
        "outcome": str(access.outcome),
        "count": access.count,
        "chains": [list(chain) for chain in access.chains],
        "example": access.example,
        "sensitive": access.sensitive,
    }
