"""Presets: named, versioned sets of rules for tool chains, read from `presets.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from buildperm.policy.kinds import GRANTABLE
from buildperm.policy.proposal import Risk
from buildperm.policy.rule import Rule


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
    generated: tuple[str, ...]  # Patterns of files: a misuse before one of them is none.


def _load() -> dict[str, Preset]:
    text = Path(__file__).with_name("presets.toml").read_text("utf-8")
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
                sorted(Rule(kind, pattern) for kind in GRANTABLE for pattern in table.get(kind, ()))
            ),
            {program: tuple(tasks) for program, tasks in table.get("purpose", {}).items()},
            {program: tuple(tasks) for program, tasks in table.get("mark", {}).items()},
            {program: tuple(words) for program, words in table.get("misuse", {}).items()},
            tuple(table.get("generated", ())),
        )
        for name, table in tomllib.loads(text).items()
    }


PRESETS = _load()
NAMES = tuple(PRESETS)


def expand(names: frozenset[str] | tuple[str, ...]) -> frozenset[Rule]:
    """Return the rules of all presets in `names`.

    Raises:
        KeyError: There is no preset of a name; grants are read with their names checked.
    """
    return frozenset(rule for name in names for rule in PRESETS[name].rules)
