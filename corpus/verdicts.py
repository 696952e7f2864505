"""What each crate and each project came to: rows, from the records of `trial`."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from corpus.entries import Corpus, CorpusCrate, CorpusProject, locked_version
from corpus.person import BY_HAND

Record = Mapping[str, Any]
MOST_LINES = 12
MOST_DECISIONS = 6
# Paths that are so on one machine or in one run only.
_OF_ONE_MACHINE = re.compile(
    r"^/(?:home|root|work|tmp|Users|dev/shm)/|/proc/\d|-[0-9a-f]{16}/|/REGISTRY-HASH/|/target/(?:debug|buildperm)/"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A crate, or a project with all its scripts."""

    name: str
    version: str
    kind: str
    verdict: str
    events: int = 0
    accesses: int = 0
    decisions: int = 0  # Of a project: all together.
    most_decisions: int = 0  # Of one crate.
    lines: int = 0
    most_lines: int = 0
    presets: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()
    codes: tuple[int, ...] = ()  # learn, plain, ci
    seconds: tuple[float, ...] = ()
    scripts: int = 1
    note: str = ""
    told: str = ""  # What `ci` says first.


def rows(corpus: Corpus, records: Mapping[str, Record]) -> list[Row]:
    """Return one row for each entry, in the order of the list."""
    found = [_crate_row(crate, records.get(crate.group)) for crate in corpus.crates]
    return found + [_project_row(each, records.get(each.name)) for each in corpus.projects]


def misbehaving(row: Row) -> bool:
    """Tell whether somebody should look into it."""
    return row.verdict not in ("ok", "not tried") and not row.verdict.startswith("not available")


def spread(numbers: Iterable[int]) -> tuple[float, int, int]:
    """Return median, 90th percentile (nearest rank) and maximum."""
    ordered = sorted(numbers) or [0]
    rank = -(-len(ordered) * 9 // 10)
    return statistics.median(ordered), ordered[rank - 1], ordered[-1]


def crate_numbers(records: Mapping[str, Record]) -> dict[str, tuple[int, int]]:
    """Return decisions and lines of every crate that ran anywhere: the most of all its runs."""
    found: dict[str, tuple[int, int]] = {}
    for record in records.values():
        for crate in record.get("scripts", {}):
            before = found.get(crate, (0, 0))
            decisions = _decisions(record, crate)
            found[crate] = (
                max(before[0], decisions),
                max(before[1], record["lines"].get(crate, 0)),
            )
    return found


def _decisions(record: Record, crate: str) -> int:
    """Return how often somebody had to decide: what `learn` counted, and what it asked later."""
    rules = sum(len(rules) for rules in record["grants"].get(crate, {}).values())
    first = int(record["asked"].get(crate, rules))
    by_hand = len([each for each in record["by_hand"] if each["crate"] == crate])
    later = int(record.get("allowed_by_hand", {}).get(crate, 0)) - by_hand
    return first + max(0, later)


def _by_hand(record: Record, crates: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        f"{each['title']} ({each['risk']}{', locked' if each['locked'] else ''}: "
        f"{' '.join(each['reasons'])})"
        for each in record.get("by_hand", ())
        if each["crate"] in crates
    )


def _crate_row(crate: CorpusCrate, record: Record | None) -> Row:
    blank = Row(
        name=crate.name,
        version=locked_version(crate),
        kind=crate.kind,
        verdict="not tried",
        note=crate.note,
    )
    if record is None:
        return blank
    if "error" in record:
        return replace(blank, verdict="cannot be fetched")
    told = record["scripts"].get(crate.subject)
    decisions, lines = _decisions(record, crate.subject), record["lines"].get(crate.subject, 0)
    return replace(
        blank,
        verdict=_verdict(record, [crate.subject], crate.needs, told is not None),
        events=told["events"] if told else 0,
        accesses=told["accesses"] if told else 0,
        decisions=decisions,
        most_decisions=decisions,
        lines=lines,
        most_lines=lines,
        presets=tuple(record["grants"].get(crate.subject, {}).get("presets", ())),
        by_hand=_by_hand(record, [crate.subject]),
        codes=_of_steps(record, "codes"),
        told=_told(record, [crate.subject]),
        seconds=_of_steps(record, "seconds"),
    )


def _project_row(project: CorpusProject, record: Record | None) -> Row:
    blank = Row(
        name=project.name,
        version=project.version,
        kind="project",
        verdict="not tried",
        note=project.note,
    )
    if record is None:
        return blank
    if "error" in record:
        return replace(blank, verdict="cannot be fetched")
    crates = list(record["scripts"])
    decisions = [_decisions(record, crate) for crate in crates] or [0]
    lines = list(record["lines"].values()) or [0]
    return replace(
        blank,
        verdict=_verdict(record, crates, project.needs, True),
        events=sum(told["events"] for told in record["scripts"].values()),
        accesses=sum(told["accesses"] for told in record["scripts"].values()),
        decisions=sum(decisions),
        most_decisions=max(decisions),
        lines=sum(lines),
        most_lines=max(lines),
        presets=tuple(sorted({p for g in record["grants"].values() for p in g.get("presets", ())})),
        by_hand=_by_hand(record, [*crates, *record["grants"]]),
        codes=_of_steps(record, "codes"),
        told=_told(record, crates),
        seconds=_of_steps(record, "seconds"),
        scripts=len(crates),
    )


def _told(record: Record, crates: Sequence[str]) -> str:
    said = record.get("said", {})
    return next((titles[0] for crate, titles in said.items() if crate in crates), "")


def _of_steps(record: Record, what: str) -> tuple[Any, ...]:
    return tuple(record[what][name] for name in ("learn", "plain", "ci") if name in record[what])


def _verdict(record: Record, crates: Sequence[str], needs: Sequence[str], ran: bool) -> str:
    """Say how it went with these crates, the worst first."""
    codes = record["codes"]
    whole = set(crates) >= set(record["scripts"])
    if record["traceback"]:
        return f"traceback in {', '.join(record['traceback'])}"
    asked = [each for each in record["by_hand"] if each["crate"] in crates]
    if late := [name for name in record["timed_out"] if asked or name != "by hand"]:
        return f"timed out in {', '.join(late)}"
    if set(record["failed_plainly"]) & set(crates) or (codes["plain"] != 0 and (whole or not ran)):
        return f"not available: {', '.join(needs) or 'plain Cargo fails, too'}"
    if not ran:
        return "its script did not run"
    if any(each["locked"] and BY_HAND not in each["locked"] for each in asked):
        return "cannot be granted"
    found = [f for c in crates for f in record["scripts"].get(c, {}).get("findings", ())]
    failures = [c for c in crates if record["scripts"].get(c, {}).get("failure")]
    if found or failures:
        return "refused"
    failed_held = set(record.get("failed_held", ()))
    if failed_held & set(crates):
        return "fails when held"
    different = record["different"]
    of_crates = [
        each
        for name in ("files", "directives")
        for each in different[name]
        if each.split(" ")[0] in crates
    ]
    if of_crates:
        return "another result"
    told = record["scripts"].values()
    blamed = bool(failed_held) or any(each["findings"] or each["failure"] for each in told)
    if codes["ci"] != 0 and codes["plain"] == 0 and not blamed:
        return f"`ci` ended with {codes['ci']}"
    proposed = [each["rung"] for each in asked]
    granted = [
        rule
        for c in crates
        for name, rules in record["grants"].get(c, {}).items()
        for rule in (rules if name != "presets" else ())
    ]
    if any(_OF_ONE_MACHINE.search(rule) for rule in granted) or any(
        _OF_ONE_MACHINE.search(rule) for line in proposed for rule in re.findall(r'"([^"]*)"', line)
    ):
        return "a path of one machine"
    if any(_decisions(record, c) > MOST_DECISIONS for c in crates):
        return f"more than {MOST_DECISIONS} decisions"
    if any(record["lines"].get(c, 0) > MOST_LINES for c in crates):
        return f"more than {MOST_LINES} lines"
    return "ok"
