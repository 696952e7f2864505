"""Presets: named, versioned sets of rules for tool chains, read from `presets.toml`.

Where distributions put the parts of a tool chain is `layouts.toml`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from buildperm.policy.kinds import GRANTABLE, Kind
from buildperm.policy.proposal import Risk
from buildperm.policy.rule import Rule
from buildperm.rules.pattern import matches


@dataclass(frozen=True, slots=True)
class Preset:
    """One set of rules, and what a person is told about it."""

    name: str
    version: int
    title: str  # Completes "It may …".
    risk: Risk  # LOW or MEDIUM.
    why: str  # Why it is no less than that.
    covers: str
    leaves_out: str
    anchors: tuple[str, ...]  # Patterns of programs; one of them was run where it is offered.
    causes: tuple[str, ...]  # Patterns of programs; or one of them wanted what the preset covers.
    rules: tuple[Rule, ...]  # Sorted.
    purposes: Mapping[str, tuple[str, ...]]  # Of a program: the tasks that fit; any, if not named.
    marks: Mapping[str, tuple[str, ...]]  # Of a program: tasks; one was given where it is offered.
    misuses: Mapping[str, tuple[str, ...]]  # Of a program: words that tell of another purpose.
    codes: Mapping[str, tuple[str, ...]]  # Of a program: options that code on the line follows.
    shells: Mapping[str, tuple[str, ...]]  # Of a shell: the programs that a script may have it run.
    has_scripts: bool  # A shell may be given one of these as a file: `sh ./configure`.
    is_systems: bool  # Only for programs that are the system's.
    generated: tuple[str, ...]  # Patterns of files: a misuse before one of them is none.
    foreseen: tuple[str, ...]  # Programs: it is offered also where one is looked for in vain, …
    beside: tuple[str, ...]  # … if a file of one of these patterns was read; whatever was, if none.


def _file(name: str) -> str:
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        return file.read()


def _load() -> dict[str, Preset]:
    text = _file("presets.toml")
    layouts = tomllib.loads(_file("layouts.toml"))
    return {
        name: Preset(
            name,
            table["version"],
            table["title"],
            Risk[table["risk"].upper()],
            table["why"],
            table["covers"],
            table["leaves_out"],
            tuple(table.get("anchor", ())),
            tuple(table.get("cause", ())),
            tuple(
                sorted(
                    {
                        *(Rule(kind, each) for kind in GRANTABLE for each in table.get(kind, ())),
                        *(Rule(Kind.EXEC, each) for each in _parts(table, layouts)),
                    }
                )
            ),
            {program: tuple(tasks) for program, tasks in table.get("purpose", {}).items()},
            {program: tuple(tasks) for program, tasks in table.get("mark", {}).items()},
            {program: tuple(words) for program, words in table.get("misuse", {}).items()},
            {program: tuple(words) for program, words in table.get("code", {}).items()},
            {program: tuple(names) for program, names in table.get("shell", {}).items()},
            table.get("scripts", False),
            table.get("systems", False),
            tuple(table.get("generated", ())),
            tuple(table.get("foreseen", ())),
            tuple(table.get("beside", ())),
        )
        for name, table in _extended(tomllib.loads(text))
    }


def _extended(tables: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each table with what it takes over from the one that it extends."""
    for name, table in tables.items():
        known = tables.get(table.get("extends", ""), {})
        lists = {
            kind: (*known.get(kind, ()), *table.get(kind, ())) for kind in (*GRANTABLE, "parts")
        }
        tools = {key: {**known.get(key, {}), **table.get(key, {})} for key in ("store", "purpose")}
        yield name, {**table, **lists, **tools}


def _parts(table: Mapping[str, Any], layouts: Mapping[str, Any]) -> Iterator[str]:
    """Yield where programs of a tool chain lie that no PATH leads to, in each layout."""
    for part in table.get("parts", ()):
        yield from (f"{prefix}/{part}" for prefix in layouts["prefixes"])
    for package, parts in table.get("store", {}).items():
        for store in layouts["stores"]:
            yield from (f"{store.replace('{package}', package)}/{part}" for part in parts)


PRESETS = _load()
NAMES = tuple(PRESETS)


_FORESEEN = {
    name: tuple(each for each in PRESETS.values() if name in each.foreseen)
    for preset in PRESETS.values()
    for name in preset.foreseen
}


def is_foreseen(program: str, read: Iterable[str] | None = None) -> bool:
    """Tell whether a script that looks for a program in vain would run it where it is.

    `read` is what it has read; without it, whether there is any use in asking.
    """
    asked = _FORESEEN.get(program, ())
    if read is None:
        return bool(asked)
    files = tuple(read)
    return any(
        not each.beside or any(matches(pattern, file) for pattern in each.beside for file in files)
        for each in asked
    )


def expand(names: frozenset[str] | tuple[str, ...]) -> frozenset[Rule]:
    """Return the rules of all presets in `names`.

    Raises:
        KeyError: There is no preset of a name; grants are read with their names checked.
    """
    return frozenset(rule for name in names for rule in PRESETS[name].rules)
