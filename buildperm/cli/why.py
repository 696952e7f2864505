"""`buildperm why`: whether a build script may do something, and why, or why not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from buildperm.cli import options
from buildperm.errors import ExitCode
from buildperm.policy import lock_file
from buildperm.policy.explanation import NotGranted, is_allowed
from buildperm.presentation.wording import chain_text, outcome_word, printable, shown
from buildperm.report.text import count
from buildperm.workflow import evidence
from buildperm.workflow.manifest_lines import Lines
from buildperm.workflow.query import QueryReader
from buildperm.workflow.query_result import QueryResult
from buildperm.workflow.script_lookup import look, one

VERSION = 1
"""Of the JSON document."""

BECAUSE = {
    "ByBaseline": "baseline",
    "ByPreset": "preset",
    "ByRule": "rule",
    "NotInForce": "not-in-force",
    "Denied": "denied",
    "Sensitive": "sensitive",
    "Never": "never",
    "OfNoConcern": "of-no-concern",
    "NotGranted": "not-granted",
}
"""What the JSON document calls each explanation."""

_MOST_RUNS = 6


@click.command("why")
@options.answering
@click.argument("crate")
@click.argument("access")
@options.CARGO
def command(*, form: str, crate: str, access: str, cargo: tuple[str, ...]) -> int:
    """Say whether a build script may do something, and why, or why not.

    CRATE is a name, a name with its version (`openssl-sys@0.9.104`), or a key of the grant table.
    ACCESS is `exec:perl`, `read:/etc/ssl/openssl.cnf`, `write:PATH`, `env:NAME`, `net:HOST:PORT` or
    `directives:rustc-env=NAME`; a path alone means reading it, and a single word is looked for
    among what was recorded. Nothing is built and nothing is written.

    Exit code: 0 it is allowed, 20 it is refused.
    """
    view = look(cargo)
    script = one(view, crate)
    snapshots = lock_file.read(view.workspace.project.metadata.root / lock_file.NAME)
    known = evidence.gather([script], view.targets, snapshots, _warn)[script.package.id]
    asked = QueryReader(view, script, known.runs, Path.cwd()).read(access, known.accesses())
    lines = Lines(view.workspace.manifest, view.workspace.manifest_path)
    answer = QueryResult(script, view.workspace.policy, known, snapshots.values(), lines, asked)
    if form == "json":
        click.echo(json.dumps(_document(answer), indent=2))
    else:
        for line in _text(answer):
            click.echo(printable(line))
    return ExitCode.OK if is_allowed(answer.explanation) else ExitCode.REFUSED


def _text(answer: QueryResult) -> Iterator[str]:
    """Answer in plain lines, the verdict first."""
    yield f"{answer.sentence}."
    if answer.proposal is not None and isinstance(answer.explanation, NotGranted):
        risk = answer.proposal.risk.name.lower()
        yield f"Risk {risk}: {shown(answer.proposal.notes[0])}"
    if len(answer.script.way) > 1:
        yield f"{answer.script.title} gets in through {' > '.join(answer.script.way)}."
    yield ""
    yield from _seen(answer)
    yield ""
    yield from answer.remedy()


def _seen(answer: QueryResult) -> Iterator[str]:
    reviewed, recorded, runs = list(answer.reviewed()), list(answer.recorded()), answer.known.runs
    for snapshot, sighting, outcome in reviewed:
        yield (
            f"Seen when {snapshot.crate} {snapshot.version} was reviewed ({lock_file.NAME}): "
            f"{outcome}; {evidence.named(sighting.context)}"
        )
    for run, access in recorded[:_MOST_RUNS]:
        yield (
            f"Seen {count(access.count, 'time')} by `buildperm {run.command}` "
            f"{evidence.age(run.modified_s)}: {outcome_word(access)}; {evidence.named(run.context)}"
        )
        for chain in access.chains:
            yield f"    by {chain_text(chain)}"
        if access.example and access.example != access.target:
            yield f"    for example: {shown(access.example)}"
    if len(recorded) > _MOST_RUNS:
        yield f"Seen in {len(recorded) - _MOST_RUNS} more recordings."
    if not (reviewed or recorded):
        yield (
            f"Never seen: {count(len(runs), 'recording')} of it on this machine, the newest made "
            f"{evidence.age(runs[0].modified_s)}, and {lock_file.NAME} hold no such access."
            if runs
            else "Never seen: this build script was not recorded on this machine, and "
            f"{lock_file.NAME} holds no such access."
        )
    for run in runs:
        if run.incomplete:
            yield (
                f"The recording of `buildperm {run.command}` may not show everything: "
                f"{shown(run.incomplete)}."
            )


def _document(answer: QueryResult) -> dict[str, object]:
    """Answer in one JSON document."""
    package, rule, proposal = answer.script.package, answer.rule, answer.proposal
    return {
        "version": VERSION,
        "crate": answer.script.key,
        "name": package.name,
        "package_version": package.version,
        "source": package.source,
        "way": list(answer.script.way),
        "access": {"kind": str(answer.asked.kind), "target": answer.asked.target},
        "allowed": is_allowed(answer.explanation),
        "because": BECAUSE[type(answer.explanation).__name__],
        "sentence": answer.sentence,
        "rule": {"kind": str(rule.kind), "pattern": rule.pattern} if rule else None,
        "preset": answer.preset,
        "line": answer.line,
        "risk": proposal.risk.name.lower() if proposal else "",
        "reasons": list(proposal.notes) if proposal else [],
        "suggested_grants": ["\n".join(answer.grant)] if answer.grant else [],
        "reviewed": [
            {
                "version": snapshot.version,
                "target": sighting.context.target,
                "profile": sighting.context.profile,
                "features": list(sighting.context.features),
                "outcome": str(outcome),
            }
            for snapshot, sighting, outcome in answer.reviewed()
        ],
        "recordings": [
            {
                "command": run.command,
                "target": run.context.target,
                "profile": run.context.profile,
                "features": list(run.context.features),
                "at": datetime.fromtimestamp(run.modified_s, UTC).isoformat("T", "seconds"),
                "outcome": str(access.outcome),
                "count": access.count,
                "chains": [list(chain) for chain in access.chains],
                "example": access.example,
            }
            for run, access in answer.recorded()
        ],
        "recorded_runs": len(answer.known.runs),
    }


def _warn(line: str) -> None:
    click.echo(printable(f"warning: {line}"), err=True)
