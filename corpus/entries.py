"""The list of crates and projects: `entries.toml`, typed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ENTRIES = HERE / "entries.toml"
LOCKS = HERE / "locks"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class CorpusCrate:
    """A crate whose build script is looked at, or one that a build script of ours uses."""

    name: str
    version: str  # A requirement; the lock file of its group has the exact version.
    kind: str
    group: str  # Those of one group are members of one workspace: what they share is built once.
    features: tuple[str, ...] = ()
    default_features: bool = True
    script: str = ""  # The member's own build script, for crates that are made to be used in one.
    tools: Mapping[str, str] = field(default_factory=dict)  # More build dependencies.
    files: Mapping[str, str] = field(default_factory=dict)  # Of the member.
    needs: tuple[str, ...] = ()  # Debian packages beyond those of tests/crates; `network`.
    cheap: bool = False  # Built in CI, too.
    note: str = ""

    @property
    def member(self) -> str:
        """Return the name of the package that depends on it."""
        return f"uses-{self.name}"

    @property
    def subject(self) -> str:
        """Return the crate whose build script is looked at."""
        return self.member if self.script else self.name


@dataclass(frozen=True, slots=True)
class CorpusProject:
    """A published program with its Cargo.lock."""

    name: str
    version: str
    needs: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Unstable:
    """What is not the same twice without buildperm either."""

    crate: str  # `*` for any.
    what: re.Pattern[str]  # Matches a path in OUT_DIR or a whole directive.
    reason: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """Everything that is listed."""

    crates: tuple[CorpusCrate, ...]
    projects: tuple[CorpusProject, ...]
    unstable: tuple[Unstable, ...]

    def groups(self) -> dict[str, list[CorpusCrate]]:
        """Return the crates by group, in the order of the list."""
        found: dict[str, list[CorpusCrate]] = {}
        for crate in self.crates:
            found.setdefault(crate.group, []).append(crate)
        return found


def load(path: Path = ENTRIES) -> Corpus:
    """Read the list.

    Raises:
        ValueError: A name is there twice, or is none.
    """
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    crates = tuple(_crate(table) for table in document.get("crate", ()))
    projects = tuple(_project(table) for table in document.get("project", ()))
    names = [crate.name for crate in crates] + [project.name for project in projects]
    wrong = [name for name in names if names.count(name) > 1 or not _NAME.fullmatch(name)]
    if wrong:
        raise ValueError(f"twice, or no name: {sorted(set(wrong))}")
    unstable = tuple(
        Unstable(table["crate"], re.compile(table["what"]), table["reason"])
        for table in document.get("unstable", ())
    )
    return Corpus(crates, projects, unstable)


def locked_version(crate: CorpusCrate) -> str:
    """Return the exact version from the lock file of the group; the requirement without one."""
    try:
        lock = tomllib.loads(lock_of(crate.group).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return crate.version
    found = [str(each["version"]) for each in lock["package"] if each["name"] == crate.name]
    fitting = [version for version in found if version.startswith(crate.version.rstrip("0"))]
    return (fitting or found or [crate.version])[-1]


def lock_of(group: str) -> Path:
    """Return where the lock file of a group is kept."""
    return LOCKS / f"{group}.lock"


def _crate(table: dict[str, Any]) -> CorpusCrate:
    given = {name.replace("-", "_"): value for name, value in table.items()}
    given.setdefault("group", table["name"])
    for name in ("features", "needs"):
        given[name] = tuple(given.get(name, ()))
    return CorpusCrate(**given)


def _project(table: dict[str, Any]) -> CorpusProject:
    return CorpusProject(**(table | {"needs": tuple(table.get("needs", ()))}))
