"""Counts what build scripts and macros really do, from the results: the figures of two documents.

A package counts once, however many workspaces it ran in: what it was granted anywhere is what it
needs beyond the baseline, and its decisions and lines are the most of any workspace.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from corpus.entries import Corpus
from corpus.tables import table
from corpus.verdicts import Record, Row, crate_numbers, misbehaving, rows, spread

MEASUREMENTS = Path(__file__).parents[1] / "benchmarks/README.md"
_ALONE = "of other kinds, one each"
_WIDTH = 120
_SPREAD = ("median", "90th percentile", "maximum")
# Of the tables in `MEASUREMENTS`: how each begins.
_COPIED = {
    "builds": "| `cargo build` from nothing | plain | `portable` | `full` |",
    "starts": "| added until it begins | in a build |",
    "macros": "| crate | rustc | with hosts |",
}


@dataclass(slots=True)
class Subject:
    """A package, with all that its build script or its macros did anywhere."""

    name: str
    roles: set[str] = field(default_factory=set)  # script, macro
    events: int = 0  # The most of one run.
    granted: dict[str, set[str]] = field(default_factory=dict)  # Rules by kind.
    decisions: int = 0
    lines: int = 0

    def is_granted(self, kind: str, *rules: str) -> bool:
        """Tell whether it has a grant of this kind; of `rules`, if there are any."""
        found = self.granted.get(kind, set())
        return bool(found & set(rules) if rules else found)


_NEEDS: dict[str, Callable[[Subject], bool]] = {
    "nothing: the baseline is enough": lambda each: not each.granted,
    "to run programs, of any kind": lambda each: (
        each.is_granted("presets") or each.is_granted("exec")
    ),
    "the C compiler (preset `cc`)": lambda each: each.is_granted("presets", "cc"),
    "to ask for a library of the system (preset `pkg-config`)": lambda each: each.is_granted(
        "presets", "pkg-config"
    ),
    "another tool that a preset knows": lambda each: bool(
        each.granted.get("presets", set()) - {"cc", "pkg-config"}
    ),
    "a program that no preset knows": lambda each: each.is_granted("exec"),
    "to read elsewhere": lambda each: each.is_granted("read"),
    "to write outside of `OUT_DIR`": lambda each: each.is_granted("write"),
    "the network": lambda each: each.is_granted("net"),
    "a directive beyond the harmless ones": lambda each: each.is_granted("directives"),
    "a variable beyond Cargo's and the tool chains'": lambda each: each.is_granted("env"),
}


def subjects(records: Mapping[str, Record]) -> list[Subject]:
    """Return every package that ran anywhere, by name."""
    found: dict[str, Subject] = {}
    numbers = crate_numbers(records)
    for record in records.values():
        for crate, told in record.get("scripts", {}).items():
            each = found.setdefault(crate, Subject(crate))
            each.roles.update(told["subjects"])
            each.events = max(each.events, told["events"])
            each.decisions, each.lines = numbers[crate]
            for kind, rules in record["grants"].get(crate, {}).items():
                each.granted.setdefault(kind, set()).update(rules)
    return [found[name] for name in sorted(found)]


def figures(corpus: Corpus, records: Mapping[str, Record], measured: str) -> dict[str, str]:
    """Return each block of figures by its name; `measured` is the text of `MEASUREMENTS`.

    Raises:
        ValueError: A table is not among what was measured.
    """
    made = rows(corpus, records)
    found = subjects(records)
    scripts = [each for each in found if "script" in each.roles]
    macros = [each for each in found if "macro" in each.roles]
    counted = {
        "population": _population(corpus, records, made, scripts, macros),
        "needs": _needs(scripts, macros),
        "presets": _presets(found),
        "kinds": _kinds(corpus, made, found),
        "effort": _effort(scripts, macros, made),
        "by-hand": _by_hand(records),
        "outcome": _outcome(corpus, records, made),
        "different": _different(records),
    }
    return counted | {name: copied(measured, head) for name, head in _COPIED.items()}


def copied(text: str, head: str) -> str:
    """Return the only table of a document that begins like `head`.

    Raises:
        ValueError: There is none, or there are more.
    """
    lines = text.splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith(head)]
    if len(starts) != 1:
        raise ValueError(f"{len(starts)} tables begin with {head!r}")
    end = next((at for at in range(starts[0], len(lines)) if lines[at][:1] != "|"), len(lines))
    return "\n".join(lines[starts[0] : end])


def _population(
    corpus: Corpus,
    records: Mapping[str, Record],
    made: Sequence[Row],
    scripts: Collection[Subject],
    macros: Collection[Subject],
) -> str:
    projects = {project.name for project in corpus.projects}
    ran = [name for name, record in records.items() if "codes" in record]
    listed = [len(each.needs) > 0 and "network" not in each.needs for each in corpus.crates]
    online = sum("network" in each.needs for each in corpus.crates)
    missing = [row.name for row in made if row.verdict == "not tried"]
    ours = len({crate.member for crate in corpus.crates} & {each.name for each in scripts})
    median, most, maximum = _spread(scripts, "events")
    told: list[tuple[str, int | str]] = [
        ("workspaces that were built", len(ran)),
        ("whole programs among them", len(projects & set(ran))),
        ("packages whose build script ran", len(scripts)),
        (
            "of these, packages of the corpus with the script that a tool's documentation shows",
            ours,
        ),
        ("packages whose procedural macros ran", len(macros)),
        ("events of a script under `ci`, median", int(median)),
        ("the same, 90th percentile", most),
        ("the same, maximum", maximum),
        ("entries of the list", len(made)),
        ("entries for which something of Debian has to be installed first", sum(listed)),
        ("entries of which it was known beforehand that they download", online),
        ("entries that were not tried", f"{len(missing)}: {', '.join(missing)}"),
    ]
    return table(["", "number"], [[what, _shown(number)] for what, number in told])


def _needs(scripts: Collection[Subject], macros: Collection[Subject]) -> str:
    lines = []
    for what, needs in _NEEDS.items():
        fitting = [each for each in scripts if needs(each)]
        share = f"{100 * len(fitting) / max(1, len(scripts)):.0f} %"
        lines.append([what, str(len(fitting)), share, str(sum(map(needs, macros)))])
    head = ["needs", f"of {len(scripts)} build scripts", "share", f"of {len(macros)} macro crates"]
    return table(head, lines)


def _presets(found: Collection[Subject]) -> str:
    counted = Counter(name for each in found for name in each.granted.get("presets", ()))
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"`{name}` {number}" for name, number in ordered)
    return textwrap.fill(f"Packages by preset: {named}.", _WIDTH)


def _kinds(corpus: Corpus, made: Sequence[Row], found: Collection[Subject]) -> str:
    names = {crate.name: crate.subject for crate in corpus.crates}
    by_name = {each.name: each for each in found}
    tried = [row for row in made if row.kind != "project" and row.events]
    counted = Counter(row.kind for row in tried)
    groups: dict[str, list[Row]] = {}
    for row in tried:
        groups.setdefault(row.kind if counted[row.kind] > 1 else _ALONE, []).append(row)
    groups[_ALONE] = groups.pop(_ALONE, [])  # Last.
    lines = []
    for kind, group in groups.items():
        whole = [by_name[names[row.name]] for row in group]
        median, _, most = spread(row.decisions for row in group)
        lines.append(
            [
                *(kind, str(len(group)), str(sum(not each.granted for each in whole))),
                *(str(sum(each.is_granted(key) for each in whole)) for key in ("net", "write")),
                *(f"{median:g}", str(most), str(max((row.lines for row in group), default=0))),
            ]
        )
    head = ["kind", "tried", "need nothing", "network", "write elsewhere"]
    return table([*head, "decisions, median", "most", "lines, most"], lines)


def _effort(scripts: Collection[Subject], macros: Collection[Subject], made: Sequence[Row]) -> str:
    programs = [row for row in made if row.kind == "project" and row.events]
    groups: dict[str, Sequence[Subject | Row]] = {
        "all build scripts": [*scripts],
        "build scripts that need something": [each for each in scripts if each.granted],
        "all macro crates": [*macros],
        "whole programs, all their crates together": programs,
    }
    lines = []
    for title, group in groups.items():
        for what in ("decisions", "lines"):
            median, most, maximum = _spread(group, what)
            lines.append([title, what, str(len(group)), f"{median:g}", str(most), str(maximum)])
    return table(["", "", "number", *_SPREAD], lines)


def _by_hand(records: Mapping[str, Record]) -> str:
    asked = {
        (each["crate"], each["title"]): each
        for record in records.values()
        for each in record.get("by_hand", ())
    }
    lines = [["all", *_counted(asked.values())]]
    for risk in ("high", "critical"):
        of_risk = [each for each in asked.values() if each["risk"] == risk]
        lines.append([f"of {risk} risk", *_counted(of_risk)])
    for kind in ("net", "write", "exec", "read", "directives"):
        of_kind = [each for each in asked.values() if kind in {rule[0] for rule in each["rules"]}]
        lines.append([f"about `{kind}`", *_counted(of_kind)])
    return table(["questions that a person had to answer", "questions", "packages"], lines)


def _counted(asked: Collection[Record]) -> tuple[str, str]:
    return str(len(asked)), str(len({each["crate"] for each in asked}))


def _outcome(corpus: Corpus, records: Mapping[str, Record], made: Sequence[Row]) -> str:
    groups = {crate.name: (crate.group, crate.subject) for crate in corpus.crates}
    found: dict[str, list[str]] = {}
    for row in made:
        group, subject = groups.get(row.name, (row.name, row.name))
        why = row.note if misbehaving(row) else ""
        if row.verdict == "another result":
            why = why or _excused_since(corpus, records[group], subject)
        found.setdefault(row.verdict, []).append(f"{row.name} ({why})" if why else row.name)
    lines = [
        [verdict, str(len(names)), "" if verdict == "ok" else ", ".join(names)]
        for verdict, names in sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    return table(["result", "entries", "which"], lines)


def _excused_since(corpus: Corpus, record: Record, subject: str) -> str:
    """Return why a result may differ by what the list says now, and did not when it was tried."""
    different = [*record["different"]["files"], *record["different"]["directives"]]
    paths = [
        path for crate, _, path in (each.partition(" ") for each in different) if crate == subject
    ]
    return "; ".join(
        f"since then excused: {each.reason}"
        for each in corpus.unstable
        if each.crate in ("*", subject) and any(each.what.search(path) for path in paths)
    )


def _different(records: Mapping[str, Record]) -> str:
    found: dict[str, set[str]] = {}
    for record in records.values():
        for each in record.get("different", {}).get("excused", ()):
            crate, reason = each.split(" ", 1)
            found.setdefault(reason, set()).add(crate)
    named = "; ".join(f"{reason} ({len(found[reason])})" for reason in sorted(found))
    total = len(set().union(*found.values()))
    return textwrap.fill(f"{total} packages: {named}.", _WIDTH)


def _spread(group: Iterable[Subject | Row], what: str) -> tuple[float, int, int]:
    return spread(getattr(each, what) for each in group)


def _shown(number: int | str) -> str:
    return f"{number:,}" if isinstance(number, int) else number
