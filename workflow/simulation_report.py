"""The answer of `simulate`, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby

from buildperm.policy import lock_file
from buildperm.policy.access import Access
from buildperm.policy.explanation import Explanation
from buildperm.presentation import explanation_text
from buildperm.presentation.wording import chain_text
from buildperm.printable import shown
from buildperm.report.text import count
from buildperm.workflow import evidence
from buildperm.workflow.evidence import ContextEvidence
from buildperm.workflow.query_report import BECAUSE
from buildperm.workflow.replay import ChangedVerdict, Replay
from buildperm.workflow.script_lookup import FoundScript
from buildperm.workflow.simulation import Simulation

VERSION = 2
"""Of the JSON document."""

_MOST_TOLD = 25  # Accesses; the text only gives the number of the rest.
_MOST_CHAINS = 5
_MOST_NAMED = 10  # Of accesses of which the same is told.


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """What a change of grants would mean."""

    simulation: Simulation

    def lines(self) -> Iterator[str]:
        """Return plain lines, the verdict last."""
        key, change = self.simulation.key, self.simulation.change
        replays = self.simulation.replays
        for replay in replays:
            if replay.refused:
                yield f"{replay.script.title}: refused {change}, and allowed today:"
                yield from _changed_verdicts(replay.script, key, replay.refused)
                yield ""
            if replay.allowed:
                yield f"{replay.script.title}: allowed {change}, and refused today:"
                yield from _changed_verdicts(replay.script, key, replay.allowed)
                yield ""
        refused = sum(len(replay.refused) for replay in replays)
        allowed = sum(len(replay.allowed) for replay in replays)
        told = count(refused, "access", "accesses") if refused else "nothing that was seen"
        more = f", and {count(allowed, 'access', 'accesses')} newly allowed" if allowed else ""
        yield f"`{shown(key)}` {change}: {told} would be refused{more}."
        yield f"That is by {_sources(replays)}; nothing was run or written."

    def document(self) -> dict[str, object]:
        """Return one document."""
        key, change = self.simulation.key, self.simulation.change
        return {
            "version": VERSION,
            "crate": key,
            "removed": [str(item) for item in change.removed],
            "replaced": [{"old": str(old), "new": str(new)} for old, new in change.replaced],
            "denied": [str(rule) for rule in change.denied],
            "scripts": [
                {
                    "name": replay.script.package.name,
                    "package_version": replay.script.package.version,
                    "source": replay.script.package.source,
                    "by": "recordings" if replay.known.runs else lock_file.NAME,
                    "recorded_runs": len(replay.known.runs),
                    "refused": [
                        _changed_verdict(replay.script, key, changed) for changed in replay.refused
                    ],
                    "allowed": [
                        _changed_verdict(replay.script, key, changed) for changed in replay.allowed
                    ],
                }
                for replay in self.simulation.replays
            ],
            "warnings": list(self.simulation.warnings),
        }


def _sources(replays: Sequence[Replay]) -> str:
    runs = [run for replay in replays for run in replay.known.runs]
    kept = sum(len(replay.known.unrecorded) for replay in replays)
    parts = []
    if runs:
        newest = evidence.time_ago(max(run.modified_s for run in runs))
        parts.append(f"{count(len(runs), 'recording')} on this machine, the newest made {newest}")
    if kept:
        parts.append(f"{count(kept, 'run')} that {lock_file.NAME} keeps")
    return " and ".join(parts)


def _changed_verdicts(
    script: FoundScript, key: str, verdicts: Sequence[ChangedVerdict]
) -> Iterator[str]:
    told = 0
    for _, group in groupby(verdicts[:_MOST_TOLD], lambda each: _alike(script, key, each)):
        alike = list(group)
        first = alike[0].access
        told += len(alike)
        yield f"  {explanation_text.action_text(first.kind, _named(alike))}{_more(alike)}"
        for chain in first.chains[:_MOST_CHAINS]:
            yield f"      by {chain_text(chain)}"
        for when, explanation in (("today", alike[0].now), ("then", alike[0].then)):
            verdict = _sentence(script, key, first, explanation)
            others = len(alike) > 1 and f"`{shown(first.target)}`" in verdict
            yield f"      {when} {verdict}{', and so for the others' if others else ''}"
        for context, seen in alike[0].seen:
            yield f"      in {_where(context, seen if len(alike) == 1 else None)}"
    if len(verdicts) > told:
        yield f"  and {len(verdicts) - told} more, which `--format json` tells"


def _alike(script: FoundScript, key: str, changed: ChangedVerdict) -> tuple[object, ...]:
    """Return what is told of an access, but for its target and how often it was seen."""
    access = changed.access
    anything = replace(access, target="")
    return (
        access.kind,
        access.chains[:_MOST_CHAINS],
        *(_sentence(script, key, anything, told) for told in (changed.now, changed.then)),
        tuple(_where(context, None) for context, _ in changed.seen),
    )


def _named(alike: Sequence[ChangedVerdict]) -> list[str]:
    return [each.access.target for each in alike[:_MOST_NAMED]]


def _more(alike: Sequence[ChangedVerdict]) -> str:
    return f" and {len(alike) - _MOST_NAMED} more" if len(alike) > _MOST_NAMED else ""


def _sentence(script: FoundScript, key: str, access: Access, told: Explanation) -> str:
    return explanation_text.verdict_text(key, access.kind, access.target, told, script.subjects)


def _where(context: ContextEvidence, access: Access | None) -> str:
    """Say in which context, and if `access` is there, how often."""
    where = evidence.context_text(context.context)
    if context.run is None:
        return f"{where} ({lock_file.NAME})"
    times = f"{count(access.count, 'time')} " if access else ""
    when = evidence.time_ago(context.run.modified_s)
    return f"{where}: {times}{context.run.circumstance} {when}"


def _changed_verdict(script: FoundScript, key: str, changed: ChangedVerdict) -> dict[str, object]:
    access = changed.access

    def verdict(told: Explanation) -> dict[str, str]:
        return {
            "because": BECAUSE[type(told)],
            "sentence": _sentence(script, key, access, told),
        }

    return {
        "kind": str(access.kind),
        "target": access.target,
        "now": verdict(changed.now),
        "then": verdict(changed.then),
        "chains": [list(chain) for chain in access.chains],
        "contexts": [
            {
                "subject": str(context.context.role.subject),
                "consumer": context.context.role.consumer,
                "target": context.context.target,
                "profile": context.context.profile,
                "features": list(context.context.features),
                "mode": context.run.mode if context.run else "",
                "at": _moment(context),
                "outcome": str(seen.outcome),
                "count": seen.count,
                "chains": [list(chain) for chain in seen.chains],
            }
            for context, seen in changed.seen
        ],
    }


def _moment(context: ContextEvidence) -> str:
    if context.run is None:
        return ""
    return datetime.fromtimestamp(context.run.modified_s, UTC).isoformat("T", "seconds")
