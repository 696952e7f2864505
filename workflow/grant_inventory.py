"""What each table of Cargo.toml grants, to whom, and how much of that is in force."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from buildperm.policy import removal_proposals
from buildperm.policy.compilation import WithheldRule, effective
from buildperm.policy.crate_request import CrateRequest
from buildperm.policy.grants import CrateGrants, Policy, parse_key
from buildperm.policy.kinds import LISTED, Kind
from buildperm.policy.presets import PRESETS
from buildperm.policy.proposal import Risk
from buildperm.policy.risk import assess_rule
from buildperm.policy.role import SubjectKind
from buildperm.policy.rule import Rule
from buildperm.policy.snapshot import SeenAccess, Snapshot
from buildperm.policy.version import sort_key
from buildperm.rules.containment import Containment
from buildperm.rules.pattern import locate
from buildperm.workflow.manifest_lines import ManifestLines
from buildperm.workflow.script_lookup import FoundScript, WorkspaceView

_OF_COMPILING = (Kind.READ, Kind.ENV)


@dataclass(frozen=True, slots=True)
class Grant:
    """A rule or a preset that a table grants."""

    rule: Rule | None  # None for a preset.
    preset: str  # Empty for a rule.
    risk: Risk
    why: str  # Without a full stop.
    line: int  # Of Cargo.toml.
    withheld: tuple[WithheldRule, ...]  # What of it is not in force.
    unused: tuple[str, ...]  # Versions whose last review saw no use of it.

    def __str__(self) -> str:
        return str(self.rule) if self.rule else f"preset:{self.preset}"


@dataclass(frozen=True, slots=True)
class LentGrant:
    """A rule or a preset, or a denial, of an imported file."""

    rule: Rule | None  # None for a preset.
    preset: str  # Empty for a rule.
    is_denial: bool
    file: str
    origin: str  # Where the file is from.
    why: str  # Why it is not in force, as a clause; empty if it is.


@dataclass(frozen=True, slots=True)
class RequestAccount:
    """What a crate of others asks for in its own Cargo.toml, beside what it was seen doing."""

    package: str  # Name and version.
    request: CrateRequest
    unseen: tuple[Rule | str, ...] | None  # What it asks for and did not use; None: never seen.
    unasked: tuple[SeenAccess, ...]  # What it did and does not ask for.


@dataclass(frozen=True, slots=True)
class Denial:
    """A rule that what a table is about is denied."""

    rule: Rule
    key: str  # Of the table that says so.
    line: int


@dataclass(frozen=True, slots=True)
class GrantTable:
    """One table of grants, or an empty one for a crate that has none."""

    key: str
    line: int  # 0 if Cargo.toml has no such table.
    scripts: tuple[FoundScript, ...]  # Whose grants it holds.
    consumers: tuple[tuple[str, int], ...]  # Packages that `for` names, each with its line.
    compile: str  # How compiling is held, where the table says it; else empty.
    compile_line: int
    grants: tuple[Grant, ...]
    denials: tuple[Denial, ...]
    reviewed: tuple[tuple[str, int], ...]  # Versions, each with its line.
    reason: str
    reason_line: int
    expires: date | None  # The last day on which anything is granted.
    expires_line: int
    not_in_force: (
        str  # Why no build script gets these grants, without a full stop; empty if one does.
    )
    snapshots: tuple[Snapshot, ...]  # Of its key, the oldest version first.
    requests: tuple[RequestAccount, ...] = ()  # What its packages ask for.
    lent: tuple[LentGrant, ...] = ()  # What imported files say of its packages.

    def lines(self) -> Iterator[int]:
        """Yield all lines of Cargo.toml that it comes from."""
        yield self.line
        yield self.reason_line
        yield self.expires_line
        yield self.compile_line
        yield from (line for _, line in self.consumers)
        yield from (line for _, line in self.reviewed)
        yield from (grant.line for grant in self.grants)
        yield from (denial.line for denial in self.denials)


def tables(
    view: WorkspaceView,
    lines: ManifestLines,
    snapshots: Mapping[tuple[str, str], Snapshot],
    scripts: Collection[FoundScript],
    keys: Iterable[str],
) -> list[GrantTable]:
    """Collect what is granted under `keys`; a key need not have a table.

    Args:
        view: The workspace.
        lines: The Cargo.toml with the grants.
        snapshots: Those of `buildperm.lock`.
        scripts: The build scripts that are wanted.
        keys: Of tables, without duplicates.
    """
    policy = view.workspace.policy
    packages = view.workspace.project.lock.packages
    locked = [(package.name, package.version, package.source) for package in packages]
    reading = _InventoryReader(view, policy, lines, locked)
    return [
        reading.table(
            key,
            tuple(script for script in (*scripts, *view.others) if _is_about(script, key)),
            sorted(
                (found for (crate, _), found in snapshots.items() if crate == key),
                key=lambda found: sort_key(found.version),
            ),
        )
        for key in keys
    ]


@dataclass(frozen=True, slots=True)
class _InventoryReader:
    view: WorkspaceView
    policy: Policy
    lines: ManifestLines
    locked: Collection[tuple[str, str, str]]  # Name, version, source of each package.

    def table(
        self, key: str, scripts: tuple[FoundScript, ...], snapshots: list[Snapshot]
    ) -> GrantTable:
        said = self.policy.crates.get(key)
        grants = said or CrateGrants(key)
        return GrantTable(
            key,
            self.lines.crate(key) if said else 0,
            scripts,
            tuple((name, self.lines.consumer(key, name)) for name in sorted(grants.consumers)),
            grants.compile,
            self.lines.compiling(key),
            tuple(self._grants(grants, scripts, snapshots)),
            tuple(self._denials(grants, scripts)),
            tuple(
                (version, self.lines.reviewed(key, version))
                for version in sorted(grants.reviewed, key=sort_key)
            ),
            grants.reason,
            self.lines.reason(key),
            grants.expires,
            self.lines.expires(key),
            self._not_in_force(said) if said and not scripts else "",
            tuple(snapshots),
            tuple(_requests(scripts, snapshots)),
            tuple(dict.fromkeys(each for script in scripts for each in self._lent(script))),
        )

    def _lent(self, script: FoundScript) -> Iterator[LentGrant]:
        """Yield what imported files say of one package."""
        origins = {each.file: each.origin for each in self.policy.imports}
        now = effective(script.grants, script.package.revision)
        whys = {each.rule: each.why for each in now.withheld}
        for grants in script.grants.imported if script.grants else ():
            file, origin = grants.origin, origins.get(grants.origin, "")
            for name in sorted(grants.presets):
                out = [whys[each] for each in sorted(PRESETS[name].rules) if each in whys]
                yield LentGrant(None, name, False, file, origin, out[0] if out else "")
            for rule in sorted(grants.rules):
                yield LentGrant(rule, "", False, file, origin, whys.get(rule, ""))
            for rule in sorted(grants.denials):
                yield LentGrant(rule, "", True, file, origin, "")

    def _grants(
        self, grants: CrateGrants, scripts: Iterable[FoundScript], snapshots: Iterable[Snapshot]
    ) -> Iterator[Grant]:
        withheld = dict.fromkeys(
            each
            for script in scripts
            for each in (
                *effective(script.grants, script.package.revision).withheld,
                *self._left_out_by_links(script),
            )
        )
        here = {script.package.version for script in scripts}
        reviews = [snapshot for snapshot in snapshots if snapshot.version in here]
        for name in sorted(grants.presets):
            preset = PRESETS[name]
            line = self.lines.preset(grants.key, name)
            found = Grant(None, name, preset.risk, preset.why, line, (), ())
            out = [
                each
                for each in withheld
                if each.rule in preset.rules and each.rule not in grants.rules
            ]
            yield replace(found, withheld=tuple(out), unused=_unused(found, reviews))
        for rule in sorted(grants.rules, key=lambda rule: (LISTED.index(rule.kind), rule)):
            risk, why = assess_rule(rule)
            why = why.removeprefix(f"`{rule.pattern}`: ").removesuffix(".")
            found = Grant(rule, "", risk, why, self.lines.rule(grants.key, rule), (), ())
            out = [each for each in withheld if each.rule == rule]
            yield replace(found, withheld=tuple(out), unused=_unused(found, reviews))

    def _left_out_by_links(self, script: FoundScript) -> Iterator[WithheldRule]:
        """Yield the rules that open nothing here because a link leads out of their folder."""
        places = {**self.view.places, "MANIFEST_DIR": os.fsencode(script.package.folder)}
        metadata = self.view.workspace.project.metadata
        foreign = [
            os.fsencode(each.folder)
            for each in metadata.packages.values()
            if each.source or not each.folder.is_relative_to(metadata.root)
        ]
        containment = Containment(places, foreign)
        for rule in sorted(script.grants.rules) if script.grants else ():
            if rule.kind in (Kind.READ, Kind.WRITE) or rule.pattern.startswith(("/", "$")):
                containment.within(rule.kind, rule.pattern)
        for (kind, pattern), real in sorted(containment.left_out.items()):
            why = f"a link leads to `{locate(real, places)}`, out of the folder that it is about"
            yield WithheldRule(Rule(Kind(kind), pattern), why)

    def _denials(self, grants: CrateGrants, scripts: Iterable[FoundScript]) -> Iterator[Denial]:
        found = dict.fromkeys(grants.denials, grants.key)
        for script in scripts:
            for rule in script.grants.denials if script.grants else ():
                found.setdefault(rule, script.denying_key(self.policy, rule))
        for rule, key in sorted(found.items(), key=lambda item: (LISTED.index(item[0].kind), item)):
            yield Denial(rule, key, self.lines.rule(key, rule, is_denial=True))

    def _not_in_force(self, grants: CrateGrants) -> str:
        """Say why no build script gets the grants of a table."""
        alone = replace(self.policy, crates={grants.key: grants}, imports=())
        closer = {
            script.key
            for script in self.view.scripts
            if script.under(alone) is not None and script.key != grants.key
        }
        if closer:
            named = ", ".join(f"`{key}`" for key in sorted(closer))
            return f"{named} holds what is granted instead; only its denials count"
        name = parse_key(grants.key).name
        if removal_proposals.absent(
            replace(alone, crates={grants.key: _asking(grants)}), self.locked
        ):
            return "Cargo.lock has no such package"
        if name in self.view.unheld:
            return f"the macros of `{name}` are not held (`compile`)"
        if name in self.view.unscripted:
            return f"`{name}` has no build script and no macros here"
        return "nothing that runs here is meant by it"


def _requests(
    scripts: Iterable[FoundScript], snapshots: Sequence[Snapshot]
) -> Iterator[RequestAccount]:
    """Yield what packages of others ask for."""
    for script in scripts:
        request = script.package.request
        if request is None or script.is_member:
            continue
        runs = [
            sighting
            for snapshot in snapshots
            if snapshot.version == script.package.version
            for sighting in snapshot.sightings
        ]
        seen = {access for sighting in runs for access in sighting.seen}
        unseen = tuple(request.beyond(seen)) if runs else None
        yield RequestAccount(script.title, request, unseen, tuple(request.unasked(seen)))


def _is_about(script: FoundScript, key: str) -> bool:
    """Tell whether a crate has its grants in a table; compiling makes use of few of them."""
    if script.key != key or script.subjects != (SubjectKind.COMPILE,):
        return script.key == key
    grants = script.grants
    if grants is None:
        return False
    return bool(grants.compile) or any(rule.kind in _OF_COMPILING for rule in grants.rules)


def _asking(grants: CrateGrants) -> CrateGrants:
    """Make a table that only denies count like one that grants."""
    return replace(grants, reviewed=grants.reviewed or frozenset({"0.0.0"}))


def _unused(grant: Grant, reviews: Iterable[Snapshot]) -> tuple[str, ...]:
    return tuple(review.version for review in reviews if str(grant) in review.unused)
