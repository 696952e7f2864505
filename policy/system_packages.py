"""System packages: what a failed build looked for in vain, and which package has it.

What a build script says is hostile text: only names of a fixed form are taken from it, and no
package is named that `system_packages.toml` does not list.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.rules.pattern import matches

DEFAULT = "debian"
"""The distribution whose packages are named where nobody knows which one this is."""


class NeedKind(StrEnum):
    """What kind of thing was looked for; the value is the column of the table."""

    DESCRIPTION = "pkg-config"  # Of a library, for pkg-config: `NAME.pc`.
    HEADER = "headers"
    LIBRARY = "libraries"
    PROGRAM = "programs"
    LINKS = "links"
    PACKAGE = "package"  # As CMake calls it: `OpenSSL`.


_NAMES = {
    NeedKind.DESCRIPTION: "pkg-config knows no library `{}`",
    NeedKind.HEADER: "there is no header `{}`",
    NeedKind.LIBRARY: "the linker finds no library `{}`",
    NeedKind.PROGRAM: "there is no program `{}`",
    NeedKind.LINKS: "it links the system's library `{}`",
    NeedKind.PACKAGE: "CMake does not find `{}`",
}


@dataclass(frozen=True, slots=True, order=True)
class Missing:
    """One thing that was looked for in vain."""

    kind: NeedKind
    name: str  # Of letters, digits and `._+/-` alone.

    @property
    def entry(self) -> Mapping[str, Any] | None:
        """Return what the table says about it; None if it does not know it."""
        return _found(self.kind, self.name)

    def packages(self, distribution: str) -> tuple[str, ...]:
        """Return the packages of a distribution that have it; none if that is not known."""
        entry = self.entry
        if entry is None and self.kind is NeedKind.DESCRIPTION and distribution == "fedora":
            return (f"'pkgconfig({self.name})'",)
        return tuple(entry.get(distribution, ())) if entry else ()

    def sentence(self, distribution: str) -> str:
        """Say what is missing, and how to install it."""
        what = _NAMES[self.kind].format(self.name)
        command = self.command(distribution)
        if not command:
            return f"{what}; install the package that has it"
        if self.is_undescribed(distribution):
            return f"{what}: `{command}` has the library, but nothing that tells pkg-config of it"
        return f"{what}: `{command}`"

    def command(self, distribution: str) -> str:
        """Return what installs it; empty if no package is known."""
        packages = self.packages(distribution)
        if not packages:
            return ""
        return " ".join((_table()["distributions"][distribution]["install"], *packages))

    def is_undescribed(self, distribution: str) -> bool:
        """Tell whether packages of a distribution have the library, but no `NAME.pc`."""
        if self.kind is not NeedKind.DESCRIPTION or self.entry is None:
            return False
        return self.name in self.entry.get("undescribed", {}).get(distribution, ())


_QUOTES = {0x2018: "'", 0x2019: "'"}  # As gcc and pkg-config write them in UTF-8 locales.
_NAME = r"([A-Za-z0-9][A-Za-z0-9_.+-]{0,63})"
_PATH = r"([A-Za-z0-9][A-Za-z0-9_.+/-]{0,127}\.(?:h|hh|hpp|hxx|proto))"
_SAID = (
    (NeedKind.DESCRIPTION, rf"[Tt]he system library `{_NAME}` required by crate"),
    (NeedKind.DESCRIPTION, rf"Package '?{_NAME}'?,? (?:required by .*?, )?(?:was )?not found"),
    (NeedKind.DESCRIPTION, rf"Package {_NAME} was not found in the pkg-config search path"),
    (NeedKind.DESCRIPTION, rf"No package '?{_NAME}' found"),
    (NeedKind.DESCRIPTION, rf"Package requirements \({_NAME}"),
    (NeedKind.DESCRIPTION, rf"Dependency [\"']?{_NAME}[\"']?,? not found"),
    (NeedKind.PACKAGE, rf"Could NOT find {_NAME}"),
    (NeedKind.PROGRAM, r"The (pkg-config) command could not be (?:found|run)"),
    (
        NeedKind.HEADER,
        rf"fatal error: '?{_PATH}'?(?:: No such file or directory| file not found)",
    ),
    (NeedKind.HEADER, rf"{_PATH}: File not found"),
    (NeedKind.LIBRARY, rf"cannot find -l:?{_NAME}"),
    (NeedKind.LIBRARY, rf"unable to find library -l{_NAME}"),
    (NeedKind.LIBRARY, rf"could not find native static library `{_NAME}`"),
    (NeedKind.PROGRAM, rf"(?:is|Is) [`']?{_NAME}[`']? (?:not )?installed\?"),
    (NeedKind.PROGRAM, rf"failed to find tool [\"`']?{_NAME}[\"`']?"),
    (NeedKind.PROGRAM, rf"Could not find [`']?{_NAME}[`']?(?: installation)?(?: and|\.|,|$)"),
    (NeedKind.PROGRAM, rf"{_NAME}: (?:command )?not found"),
    (NeedKind.PROGRAM, rf"[Ff]ailed to (?:run|execute|spawn)(?: command)?:? [`'\"]?{_NAME}[`'\" ]"),
)
_PATTERNS = tuple((kind, re.compile(text, re.MULTILINE)) for kind, text in _SAID)
_LIBCLANG = re.compile(r"[Uu]nable to find libclang|couldn't find any valid shared libraries")
_DESCRIPTION = re.compile(r"/([A-Za-z0-9][A-Za-z0-9_.+-]{0,63})\.pc\Z")


def of_text(said: str) -> list[Missing]:
    """Find what a build said it did not find, in the order in which it said so."""
    said = said.translate(_QUOTES)
    found = [
        (match.start(), Missing(kind, match[1]))
        for kind, pattern in _PATTERNS
        for match in pattern.finditer(said)
    ]
    clang = _LIBCLANG.search(said)
    if clang:
        found.append((clang.start(), Missing(NeedKind.LIBRARY, "clang")))
    told = dict.fromkeys(each for _, each in sorted(found))
    return [each for each in told if _is_credible(each)]


def _is_credible(missing: Missing) -> bool:
    """Tell whether it may be: any word can stand where a program is named."""
    return missing.kind is NeedKind.DESCRIPTION or missing.entry is not None


def of_accesses(accesses: Iterable[Access]) -> list[Missing]:
    """Find what was looked for, and was nowhere: descriptions of libraries, and programs."""
    looked: dict[Missing, bool] = {}
    for access in accesses:
        missing = _looked_for(access)
        if missing is not None:
            absent = access.outcome is Outcome.FAILED
            looked[missing] = looked.get(missing, True) and absent
    return [missing for missing, absent in looked.items() if absent and _is_credible(missing)]


def _looked_for(access: Access) -> Missing | None:
    if access.kind is Kind.EXEC and access.is_direct:
        return Missing(NeedKind.PROGRAM, access.target.rpartition("/")[2])
    if access.kind is Kind.READ:
        found = _DESCRIPTION.search(access.target)
        if found and not found[1].endswith("-uninstalled"):
            return Missing(NeedKind.DESCRIPTION, found[1])
    return None


def of_links(name: str) -> list[Missing]:
    """Return what a package wants that Cargo's `links` names, if the table knows it."""
    missing = Missing(NeedKind.LINKS, name)
    return [missing] if name and missing.entry is not None else []


def distinct(found: Iterable[Missing]) -> list[Missing]:
    """Leave out what the same packages have as something that was found before."""
    kept: dict[str, Missing] = {}
    for missing in found:
        entry = missing.entry
        kept.setdefault(repr(sorted(entry.items())) if entry else missing.name, missing)
    return list(kept.values())


def distribution(release: str) -> str:
    """Return the distribution that os-release(5) tells of; empty if the table has none of it."""
    told = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    ids = [told.get("ID", ""), *told.get("ID_LIKE", "").strip("\"'").split()]
    for each in ids:
        for name, entry in _table()["distributions"].items():
            if each.strip("\"'") in entry["ids"]:
                return str(name)
    return ""


def this_distribution(path: str = "/etc/os-release") -> str:
    """Return the distribution of this machine, or the one that is named where it is unknown."""
    try:
        release = Path(path).read_text("utf-8", "replace")
    except OSError:
        release = ""
    return distribution(release) or DEFAULT


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(Path(__file__).with_name("system_packages.toml").read_text("utf-8"))


def _found(kind: NeedKind, name: str) -> Mapping[str, Any] | None:
    if kind is NeedKind.PACKAGE:
        known: Mapping[str, Any] | None = _table()["packages"].get(name.lower())
        return known
    entries: Iterable[Mapping[str, Any]] = _table()["packages"].values()
    for entry in entries:
        names = entry.get(str(kind), ())
        if name in names or (
            kind is NeedKind.HEADER and any(matches(each, name) for each in names)
        ):
            return entry
    return None
