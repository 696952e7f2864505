"""The answer of `info`, for people and for machines: see `report/info.schema.json`."""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from buildperm import __version__
from buildperm.cargo.metadata import Package
from buildperm.errors import ExitCode
from buildperm.policy.permission_entry import Ask, Origin
from buildperm.policy.role import SubjectKind
from buildperm.printable import shown
from buildperm.report import build_failure
from buildperm.report.build_failure import BuildFailure
from buildperm.report.text import count
from buildperm.workflow.brought_package import BroughtPackage
from buildperm.workflow.evidence import time_ago
from buildperm.workflow.index_source import PermissionIndex
from buildperm.workflow.own_packages import can_replace

_ENDS = {
    True: "Cargo has to replace the one that you have, where its requirements allow that",
    False: "`cargo add` would fail",
}

VERSION = 1
"""Of the JSON document; it changes when something is removed or means something else."""

_NOT_LOADED = "macros not loaded: nothing in these crates uses them"
_NOT_RUN = "not run: the build ended before"
_NOT_BUILT = "not built: nothing here uses it"
_REPLACED = "not run: Cargo's configuration replaces its build script"
_OTHER_FEATURES = "recorded with fewer features than these"
_NOT_KNOWN = "not in the index"


@dataclass(frozen=True, slots=True)
class CrateInformation:
    """What a crate and its dependencies would bring and ask for."""

    root: Package
    packages: Sequence[BroughtPackage]
    index: PermissionIndex | None  # None where it was built and recorded.
    origin: Origin | None  # Of this very build; None where there was none.
    failure: BuildFailure | None  # Why it could not be built.
    rivals: Sequence[tuple[Package, Package]]  # Cannot be beside what the workspace has.
    interrupted: bool = False
    replaced: frozenset[str] = frozenset()  # IDs of packages whose scripts Cargo does not run.

    @property
    def exit_code(self) -> int:
        """Return 0 where nothing would have to be decided, as far as is known."""
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if self.failure is not None:
            return self.failure.exit_code
        is_open = any(
            each.undecided
            or each.has_more_features
            or (each.entry is None and self.index is not None)
            or (SubjectKind.SCRIPT in each.missed and self.index is not None)
            or (each.entry is not None and each.entry.failure)
            for each in self.packages
        )
        return ExitCode.UNDECIDED if is_open or self.rivals else ExitCode.OK

    @property
    def counts(self) -> Mapping[str, int]:
        """Return how many of the packages are of which kind; some are of two."""
        every = self.packages
        subjects = [subject for each in every for subject in each.package.subjects]
        return {
            "build_scripts": subjects.count(SubjectKind.SCRIPT),
            "macros": subjects.count(SubjectKind.MACRO),
            "baseline": sum(each.is_baseline for each in every),
            "compile_c": sum(each.compiles_c for each in every),
            "network": sum(each.connects for each in every),
            "other": sum(
                bool(each.entry and each.entry.asks) and not each.compiles_c and not each.connects
                for each in every
            ),
            "not_run": sum(bool(each.missed) for each in every),
            "failed": sum(bool(each.entry and each.entry.failure) for each in every),
            "owned": sum(each.is_owned for each in every),
        }

    def lines(self) -> Iterator[str]:
        """Return plain lines: the sum, then one for each build script and macro."""
        who = f"{shown(self.root.name)} {shown(self.root.version)}"
        if self.interrupted:
            yield "Stopped: this is what was seen so far."
        elif self.failure is not None:
            yield "The build failed: this is what was seen so far."
        yield f"{who} {self._sum()}"
        rows = [self._row(each) for each in self.packages]
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
        for name, subject, *rest in rows:
            cells = (name.ljust(widths[0]), subject.ljust(widths[1]), *filter(None, rest))
            yield f"  {'  '.join(cells)}"
        for package, rival in self.rivals:
            yield (
                f"{shown(package.name)} {shown(package.version)} and {shown(rival.name)} "
                f"{shown(rival.version)}, which you have, both link `{shown(package.links)}`: "
                f"{_ENDS[can_replace(package, rival)]}."
            )
        yield from self._provenance()

    def _sum(self) -> str:
        counts = self.counts
        if not self.packages:
            return "adds no build script and no macro."
        brought = [
            count(counts["build_scripts"], "build script"),
            count(counts["macros"], "macro"),
        ]
        compile_c = "compiles" if counts["compile_c"] == 1 else "compile"
        told = [
            f"{counts['baseline']} baseline",
            f"{counts['compile_c']} {compile_c} C",
            f"{counts['network']} network",
        ]
        unknown = "not known" if self.index is not None else "not run"
        for name, word in (("other", "other"), ("not_run", unknown), ("failed", "failed")):
            told += [f"{counts[name]} {word}"] if counts[name] else []
        owned = f"; you have {counts['owned']} of them" if counts["owned"] else ""
        return f"adds {' and '.join(brought)}: {', '.join(told)}{owned}"

    def _row(self, each: BroughtPackage) -> tuple[str, ...]:
        package = each.package
        subjects = " and ".join(
            "macro" if kind is SubjectKind.MACRO else kind.noun for kind in package.subjects
        )
        return (
            f"{shown(package.name)} {shown(package.version)}",
            subjects or "compiling it",
            self._asked(each),
            _links(each),
            each.ownership(),
        )

    def _asked(self, each: BroughtPackage) -> str:
        entry = each.entry
        told = [_ask_text(ask) for ask in entry.asks] if entry else []
        if told and not each.undecided:
            told.append("all of it decided by your grants")
        why = self.unknown_because(each)
        if why:
            told.append(why)
        if each.has_more_features:
            told.append(_OTHER_FEATURES)
        if entry and entry.failure:
            told.append(shown(entry.failure))
        return "; ".join(told) or "baseline"

    def unknown_because(self, each: BroughtPackage) -> str:
        """Say why not everything is known of a package; empty if it is."""
        if not each.missed:
            return ""
        if each.entry is None and self.index is not None:
            return _NOT_KNOWN
        if self.failure is not None or self.interrupted:
            return _NOT_RUN
        if each.package.id in self.replaced:
            return _REPLACED
        return _NOT_BUILT if SubjectKind.SCRIPT in each.missed else _NOT_LOADED

    def _provenance(self) -> Iterator[str]:
        if self.counts["macros"]:
            yield (
                "Macros count as run once the compiler has loaded them. They are seen only as far "
                "as these crates use them; what they ask in your code shows when you build it."
            )
        if self.origin is not None:
            yield (
                f"Recorded now, without any grant, by rustc {shown(self.origin.rustc)} under the "
                f"runtime {self.origin.runtime}."
            )
        if self.index is None:
            return
        told = f"From the index {shown(self.index.place)}; nothing was built. {self._age()}"
        yield told.rstrip()
        yield f"SHA-256 of its list: {self.index.digest}"
        if any(each.entry is None for each in self.packages):
            yield "Without --index, what is not in it is built and recorded."

    def _age(self) -> str:
        origins = [each.entry.origin for each in self.packages if each.entry is not None]
        if not origins:
            return ""
        known = sorted(origin.recorded for origin in origins if origin.recorded)
        if not known:
            return "When it was recorded is not known."
        oldest = f"The oldest of it was recorded {time_ago(_seconds(known[0]))}"
        by = sorted({origin.buildperm for origin in origins if origin.buildperm})
        some = "" if len(known) == len(origins) else "; of some it is not known when"
        return f"{oldest}, by buildperm {shown(', '.join(by))}{some}."

    def document(self) -> dict[str, object]:
        """Return all of it."""
        failed = None if self.failure is None else build_failure.document(self.failure)
        return {
            "version": VERSION,
            "buildperm": __version__,
            "crate": {"name": self.root.name, "version": self.root.version},
            "exit": int(self.exit_code),
            "interrupted": self.interrupted,
            "index": self.index and {"place": self.index.place, "sha256": self.index.digest},
            "counts": dict(self.counts),
            "packages": [self._package(each) for each in self.packages],
            "conflicts": [
                {
                    "links": package.links,
                    "brought": {"name": package.name, "version": package.version},
                    "owned": {"name": rival.name, "version": rival.version},
                    "replaceable": can_replace(package, rival),
                }
                for package, rival in self.rivals
            ],
            "build_failure": failed,
        }

    def _package(self, each: BroughtPackage) -> dict[str, object]:
        package = each.package
        return {
            "name": package.name,
            "version": package.version,
            "source": package.source,
            "checksum": each.checksum,
            "subjects": [str(kind) for kind in package.subjects],
            "features": list(package.features),
            "links": package.links,
            "install": each.install,
            "owned_versions": list(each.owned),
            "is_owned": each.is_owned,
            "has_grants": each.has_grants,
            "undecided": [ask.title for ask in each.undecided],
            "unknown_because": self.unknown_because(each),
            "entry": None if each.entry is None else each.entry.document(),
        }


def _ask_text(ask: Ask) -> str:
    what = f"preset {ask.presets[0]}" if ask.presets and not ask.rules else shown(ask.title)
    locked = ", no answer allows it" if ask.locked else ""
    return f"{what} ({ask.risk.name.lower()}{locked})"


def _links(each: BroughtPackage) -> str:
    links = each.package.links
    if not links:
        return ""
    return f"links {shown(links)}{f' ({each.install})' if each.install else ''}"


def _seconds(moment: str) -> float:
    try:
        return calendar.timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return 0.0  # A day that there is not.
