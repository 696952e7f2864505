"""Writes the table into docs/corpus.md, between its markers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from corpus.entries import Corpus
from corpus.verdicts import Record, Row, crate_numbers, misbehaving, rows, spread

DOCUMENT = Path(__file__).parents[1] / "docs/corpus.md"
BEGIN = "<!-- corpus: made by `make corpus-table` -->"
END = "<!-- end of corpus -->"
_LONGEST = 160
_KINDS = ("behave", "misbehave", "are not available", "were not tried")


def document(text: str, corpus: Corpus, records: Mapping[str, Record]) -> str:
    """Return `text` with the tables made anew.

    Raises:
        ValueError: The markers are not there.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("no markers")
    return f"{before}{BEGIN}\n\n{tables(corpus, records)}\n{END}{after}"


def tables(corpus: Corpus, records: Mapping[str, Record]) -> str:
    """Return everything that is made: summary, crates, projects, what does not behave."""
    made = rows(corpus, records)
    crates = [row for row in made if row.kind != "project"]
    projects = [row for row in made if row.kind == "project"]
    parts = [
        _summary(made, crate_numbers(records)),
        "### Crates",
        table(
            ["crate", "kind", "result", "events", "accesses", "decisions", "lines", "presets"],
            [_crate(row) for row in crates],
        ),
        "### Workspaces of these crates",
        table(
            ["workspace", "crates", "exit: learn, plain, ci", "seconds"],
            [
                [group, str(len(members)), *_steps(records[group])]
                for group, members in corpus.groups().items()
                if "codes" in records.get(group, {})
            ],
        ),
        "### Projects",
        table(
            [
                *("project", "result", "scripts", "accesses", "decisions", "lines", "presets"),
                *("exit: learn, plain, ci", "seconds"),
            ],
            [_project(row) for row in projects],
        ),
    ]
    if asked := [row for row in made if row.by_hand]:
        parts += ["### Decided by hand", _by_hand(asked)]
    if wrong := [row for row in made if misbehaving(row)]:
        parts += ["### What does not behave", _wrong(wrong)]
    if missing := [row for row in made if _class(row) == 2]:
        parts += ["### Not available on the machine of the table", _missing(missing)]
    if excused := _excused(records):
        parts += ["### Not the same twice, without buildperm too", excused]
    return "\n\n".join(parts) + "\n"


def _summary(made: Sequence[Row], numbers: Mapping[str, tuple[int, int]]) -> str:
    tried = [row for row in made if row.events]
    crates = [row for row in tried if row.kind != "project"]
    kinds = [0, 0, 0, 0]
    for row in made:
        kinds[_class(row)] += 1
    told = ", ".join(f"{number} {kind}" for number, kind in zip(kinds, _KINDS, strict=True))
    everywhere = list(numbers.values())
    lines = []
    for title, decisions, written in (
        ("the crates below", [r.decisions for r in crates], [r.lines for r in crates]),
        ("all crates that ran", [d for d, _ in everywhere], [n for _, n in everywhere]),
    ):
        for what, values in (("decisions", decisions), ("lines of Cargo.toml", written)):
            median, most, maximum = spread(values)
            cells = [f"{what} a crate, {title}", str(len(values)), f"{median:g}", str(most)]
            lines.append([*cells, str(maximum)])
    head = ["", "crates", "median", "90th percentile", "maximum"]
    return f"Of {len(made)} crates and projects {told}.\n\n{table(head, lines)}"


def _class(row: Row) -> int:
    if row.verdict == "not tried":
        return 3
    if row.verdict.startswith("not available"):
        return 2
    return int(misbehaving(row))


def _crate(row: Row) -> list[str]:
    return [
        *(f"{row.name} {row.version}", row.kind, row.verdict, _number(row.events)),
        *(_number(row.accesses), str(row.decisions), str(row.lines), ", ".join(row.presets)),
    ]


def _project(row: Row) -> list[str]:
    return [
        *(f"{row.name} {row.version}", row.verdict, str(row.scripts), _number(row.accesses)),
        *(str(row.decisions), str(row.lines), ", ".join(row.presets)),
        *(", ".join(map(str, row.codes)), _seconds(row.seconds)),
    ]


def _steps(record: Record) -> list[str]:
    names = [name for name in ("learn", "plain", "ci") if name in record["codes"]]
    codes = ", ".join(str(record["codes"][name]) for name in names)
    return [codes, _seconds([record["seconds"][name] for name in names])]


def _seconds(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:.0f}" for number in numbers)


def _by_hand(asked: Sequence[Row]) -> str:
    lines = [[row.name, _short(what)] for row in asked for what in row.by_hand]
    return table(["crate", "what, and why it was asked"], lines)


def _wrong(wrong: Sequence[Row]) -> str:
    return table(["crate", "result", "reason"], [[r.name, r.verdict, r.note] for r in wrong])


def _missing(missing: Sequence[Row]) -> str:
    head = ["crate", "needs", "what buildperm said"]
    return table(
        head, [[row.name, row.verdict.partition(": ")[2], _short(row.told)] for row in missing]
    )


def _excused(records: Mapping[str, Record]) -> str:
    found = {
        each
        for record in records.values()
        for each in record.get("different", {}).get("excused", ())
    }
    return (
        table(["crate", "reason"], [each.split(" ", 1) for each in sorted(found)]) if found else ""
    )


def _number(number: int) -> str:
    return f"{number:,}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; cells may hold anything."""
    cells = [[_cell(cell) for cell in line] for line in (head, *lines)]
    cells.insert(1, ["---"] * len(head))
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _cell(text: str) -> str:
    """Return text as it stands in a cell: names may hold anything."""
    shown = "".join(c if c.isprintable() else "�" for c in text)
    for sign in "\\`*_<[|":
        shown = shown.replace(sign, f"\\{sign}") if sign not in "`_" else shown
    return shown
