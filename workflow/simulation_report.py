"""The answer of `simulate`, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from buildperm.policy import lock_file
from buildperm.policy.access import Access
from buildperm.policy.explanation import Explanation
from buildperm.presentation import sentences
from buildperm.presentation.wording import chain_text, shown
from buildperm.report.text import count
from buildperm.workflow import evidence
from buildperm.workflow.evidence import Sight
from buildperm.workflow.query_report import BECAUSE
from buildperm.workflow.replay import Replay, Shift
from buildperm.workflow.simulation import Simulation

VERSION = 1
"""Of the JSON document."""

_MOST_TOLD = 25  # Accesses; of more the text only tells the number.
_MOST_CHAINS = 5


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """What a change of grants would mean."""

    simulation: Simulation

    def lines(self) -> Iterator[str]:
        """Tell it in plain lines, the verdict last."""
        key, amendment = self.simulation.key, self.simulation.change
        replays = self.simulation.replays
        for replay in replays:
            if replay.refused:
                yield f"{replay.script.title}: refused {amendment}, and allowed today:"
                yield from _shifts(key, replay.refused)
                yield ""
            if replay.allowed:
                yield f"{replay.script.title}: allowed {amendment}, and refused today:"
                yield from _shifts(key, replay.allowed)
                yield ""
        refused = sum(len(replay.refused) for replay in replays)
        allowed = sum(len(replay.allowed) for replay in replays)
        told = count(refused, "access", "accesses") if refused else "nothing that was seen"
        more = f", and {count(allowed, 'access', 'accesses')} newly allowed" if allowed else ""
        yield f"`{shown(key)}` {amendment}: {told} would be refused{more}."
        yield f"That is by {_sources(replays)}; nothing was run or written."

    def document(self) -> dict[str, object]:
        """Tell it in one document."""
        key, amendment = self.simulation.key, self.simulation.change
        return {
            "version": VERSION,
            "crate": key,
            "removed": [str(item) for item in amendment.removed],
            "replaced": [{"old": str(old), "new": str(new)} for old, new in amendment.replaced],
            "denied": [str(rule) for rule in amendment.denied],
            "scripts": [
                {
                    "name": replay.script.package.name,
                    "package_version": replay.script.package.version,
                    "source": replay.script.package.source,
                    "by": "recordings" if replay.known.runs else lock_file.NAME,
                    "recorded_runs": len(replay.known.runs),
                    "refused": [_shift(key, shift) for shift in replay.refused],
                    "allowed": [_shift(key, shift) for shift in replay.allowed],
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
        newest = evidence.age(max(run.modified_s for run in runs))
        parts.append(f"{count(len(runs), 'recording')} on this machine, the newest made {newest}")
    if kept:
        parts.append(f"{count(kept, 'run')} that {lock_file.NAME} keeps")
    return " and ".join(parts)


def _shifts(key: str, shifts: Sequence[Shift]) -> Iterator[str]:
    for shift in shifts[:_MOST_TOLD]:
        access = shift.access
        yield f"  {sentences.deed(access.kind, [access.target])}"
        for chain in access.chains[:_MOST_CHAINS]:
            yield f"      by {chain_text(chain)}"
        for when, told in (("today", shift.now), ("then", shift.then)):
            yield f"      {when} {sentences.verdict(key, access.kind, access.target, told)}"
        for sight, seen in shift.seen:
            yield f"      in {_where(sight, seen)}"
    if len(shifts) > _MOST_TOLD:
        yield f"  and {len(shifts) - _MOST_TOLD} more, which `--format json` tells"


def _where(sight: Sight, access: Access) -> str:
    where = evidence.named(sight.context)
    if sight.run is None:
        return f"{where} ({lock_file.NAME})"
    times = count(access.count, "time")
    return (
        f"{where}: {times} by `buildperm {sight.run.command}` {evidence.age(sight.run.modified_s)}"
    )


def _shift(key: str, shift: Shift) -> dict[str, object]:
    access = shift.access

    def verdict(told: Explanation) -> dict[str, str]:
        return {
            "because": BECAUSE[type(told).__name__],
            "sentence": sentences.verdict(key, access.kind, access.target, told),
        }

    return {
        "kind": str(access.kind),
        "target": access.target,
        "now": verdict(shift.now),
        "then": verdict(shift.then),
        "chains": [list(chain) for chain in access.chains],
        "contexts": [
            {
                "target": sight.context.target,
                "profile": sight.context.profile,
                "features": list(sight.context.features),
                "command": sight.run.command if sight.run else "",
                "at": _moment(sight),
                "outcome": str(seen.outcome),
                "count": seen.count,
                "chains": [list(chain) for chain in seen.chains],
            }
            for sight, seen in shift.seen
        ],
    }


def _moment(sight: Sight) -> str:
    if sight.run is None:
        return ""
    return datetime.fromtimestamp(sight.run.modified_s, UTC).isoformat("T", "seconds")
