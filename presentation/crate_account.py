"""An account of what one crate did: judged access by access, and told in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from buildperm.policy import risk
from buildperm.policy.access import Access, Outcome
from buildperm.policy.compilation import effective
from buildperm.policy.coverage import Coverage, GrantCoverage
from buildperm.policy.explainer import Explainer
from buildperm.policy.explanation import AllowedByPreset, AllowedByRule, Denied
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import LISTED, Kind
from buildperm.policy.proposal import Risk
from buildperm.policy.risk_combinations import combinations, looks_like_theft
from buildperm.policy.role import SubjectKind
from buildperm.policy.summaries import LOOK, title
from buildperm.policy.undecided_accesses import is_settled
from buildperm.report.html_page import MapCell, Severity
from buildperm.report.text import count


class Standing(Enum):
    """What Cargo.toml says about an access."""

    EVERYBODY = "everybody"  # The baseline, habits, and what failed of its own.
    GRANTED = "granted"
    DENIED = "denied"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class JudgedAccess:
    """An access, and what is said about it."""

    access: Access
    standing: Standing
    said: str  # Where that is said: "granted by preset cc".
    risk: Risk
    why: str  # A sentence on the risk.

    @property
    def severity(self) -> Severity:
        """How much it should worry a reader."""
        is_open = self.standing in (Standing.DENIED, Standing.UNDECIDED)
        return Severity.of(self.risk) if is_open else Severity.CALM


@dataclass(frozen=True, slots=True)
class CrateAccount:
    """Everything that one crate did, the worst first."""

    judged: tuple[JudgedAccess, ...]
    is_theft: bool  # It reaches for secrets and for the network.

    @classmethod
    def of(
        cls,
        accesses: Sequence[Access],
        grants: CrateGrants | None,
        revision: str,
        subjects: Collection[SubjectKind],
        consumers: Collection[str] = (),
    ) -> CrateAccount:
        """Judge what a crate did.

        Args:
            accesses: All of them, what everybody may do included.
            grants: What Cargo.toml says of the crate; None if nothing.
            revision: Of the package, as reviews name it.
            subjects: What of the crate runs.
            consumers: Packages outside the workspace for which its macros are granted it, too.
        """
        held = effective(grants, revision)
        allowed, refused = GrantCoverage(held.rules), Coverage(held.denials)
        explainer = Explainer(grants, revision, subjects)
        combined = combinations(accesses)
        judged = []
        for access in accesses:
            level, why = Risk.LOW, ""
            if is_settled(access):
                standing, said = Standing.EVERYBODY, ""
            else:
                level, why = risk.assess_access(access)
                level = max(level, combined([access])[0])
                is_theirs = not access.outside or access.outside in consumers
                if refused.covers(access):
                    standing, said = Standing.DENIED, _said(explainer, access, "denied")
                elif is_theirs and allowed.covers(access):
                    standing, said = Standing.GRANTED, _said(explainer, access, "granted")
                else:
                    is_locked = access.sensitive and not access.saw_empty_home
                    by_hand = "; only by hand in Cargo.toml" if is_locked else ""
                    standing, said = Standing.UNDECIDED, f"undecided{by_hand}"
            judged.append(JudgedAccess(access, standing, said, level, why))
        judged.sort(key=_order)
        return cls(tuple(judged), looks_like_theft(accesses))

    @property
    def beyond(self) -> tuple[JudgedAccess, ...]:
        """What goes beyond what everybody may do."""
        return tuple(each for each in self.judged if each.standing is not Standing.EVERYBODY)

    @property
    def ordinary(self) -> tuple[Access, ...]:
        """What everybody may do, and it did."""
        return tuple(each.access for each in self._ordinary(is_done=True))

    @property
    def in_vain(self) -> int:
        """How much it tried that was not there, or that programs try out of habit."""
        return sum(1 for _ in self._ordinary(is_done=False))

    def _ordinary(self, *, is_done: bool) -> Iterator[JudgedAccess]:
        for each in self.judged:
            was_done = each.access.outcome is Outcome.DONE
            if each.standing is Standing.EVERYBODY and was_done == is_done:
                yield each

    @property
    def severity(self) -> Severity:
        """How much the crate should worry a reader."""
        if self.is_theft and any(each.standing is not Standing.GRANTED for each in self.beyond):
            return Severity.CRITICAL
        return worst(self.beyond)

    def verdict(self) -> str:
        """Say in one sentence what there is to know."""
        standings = Counter(each.standing for each in self.beyond)
        undecided, denied = standings[Standing.UNDECIDED], standings[Standing.DENIED]
        granted = standings[Standing.GRANTED]
        if not self.beyond:
            return "Did nothing but what everybody may do."
        if not undecided and not denied:
            return f"Everything beyond what everybody may do is granted: {_accesses(granted)}."
        parts = [f"{_accesses(undecided)} undecided"] if undecided else []
        parts += [f"{denied if undecided else _accesses(denied)} denied"] if denied else []
        parts += [f"{granted} granted"] if granted else []
        told = f"{', '.join(parts)}."
        if self.severity is Severity.CRITICAL and self.is_theft:
            return f"Looks like theft: it reaches for secrets and for the network. {told}"
        return told[:1].upper() + told[1:]

    def deeds(self) -> Iterator[str]:
        """Yield what it did in sentences, the worst first."""
        groups: dict[tuple[Outcome, Kind, bool], list[Access]] = {}
        for each in self.beyond:
            access = each.access
            groups.setdefault((access.outcome, access.kind, bool(access.sensitive)), []).append(
                access
            )
        for (outcome, kind, _), group in groups.items():
            yield deed_text(outcome, kind, group)
        if self.ordinary:
            numbers = Counter(access.kind for access in self.ordinary)
            told = [
                f"{kind.traits.past} {count(numbers[kind], kind.traits.noun, kind.traits.plural)}"
                for kind in LISTED
                if numbers[kind]
            ]
            besides = "Besides, it" if self.beyond else "It"
            yield f"{besides} did what everybody may: {', '.join(told)}."
        if self.in_vain:
            yield f"{count(self.in_vain, 'attempt')} came to nothing, as is usual."


def deed_text(outcome: Outcome, kind: Kind, group: Sequence[Access]) -> str:
    """Say what accesses of one kind did, in one sentence about the past."""
    told = title(kind, group)
    match outcome:
        case Outcome.DONE:
            verb = kind.traits.verb
            if told.startswith(LOOK):
                return f"Looked whether there is{told[len(LOOK) :]}, and read nothing of it."
            done = kind.traits.past + told[len(verb) :] if told.startswith(verb) else told
            return f"{done[:1].upper()}{done[1:]}."
        case Outcome.FAILED if all(access.saw_empty_home for access in group):
            return f"Tried to {told}; the home folder that it saw is empty."
        case Outcome.FAILED:
            return f"Tried in vain to {told}."
        case Outcome.REFUSED:
            return f"Tried to {told}; buildperm refused it."


def worst(judged: Iterable[JudgedAccess]) -> Severity:
    """Return the worst severity among accesses."""
    return min((each.severity for each in judged), key=lambda one: one.rank, default=Severity.CALM)


AREAS = (
    *("Secrets", "Network", "Programs", "Workspace, written", "Workspace, read"),
    *("Elsewhere, written", "Elsewhere, read", "Variables", "Cargo and rustc", "Kernel"),
)
"""The columns of the map."""

_BY_KIND = {
    Kind.NET: "Network",
    Kind.EXEC: "Programs",
    Kind.ENV: "Variables",
    Kind.DIRECTIVE: "Cargo and rustc",
    Kind.SYSTEM: "Kernel",
}
_WORKSPACE = ("$WORKSPACE", "$MANIFEST_DIR", "$OUT_DIR", "$TMP", "$TARGET_DIR")


def area_of(access: Access) -> str:
    """Return the column of the map that an access belongs in."""
    if access.sensitive and access.kind in (Kind.READ, Kind.ENV):
        return "Secrets"
    named = _BY_KIND.get(access.kind)
    if named is not None:
        return named
    where = "Workspace" if access.target.partition("/")[0] in _WORKSPACE else "Elsewhere"
    return f"{where}, {'written' if access.kind is Kind.WRITE else 'read'}"


def map_cells(account: CrateAccount) -> tuple[MapCell, ...]:
    """Return what a crate did, area by area."""
    by_area: dict[str, list[JudgedAccess]] = {}
    for each in account.beyond:
        by_area.setdefault(area_of(each.access), []).append(each)
    return tuple(_cell(by_area.get(area, [])) for area in AREAS)


def _cell(judged: Sequence[JudgedAccess]) -> MapCell:
    standings = Counter(each.standing for each in judged)
    mark = "✓"
    if standings[Standing.UNDECIDED]:
        mark = "?"
    elif standings[Standing.DENIED]:
        mark = "✗" if standings[Standing.DENIED] == len(judged) else "✓✗"
    told = [f"{number} {standing.value}" for standing, number in standings.items()]
    return MapCell(len(judged), mark, worst(judged), ", ".join(told))


def _said(explainer: Explainer, access: Access, word: str) -> str:
    match explainer.explain(access.kind, access.target, resolved=access.resolved):
        case AllowedByPreset(preset, _):
            return f"{word} by preset {preset}"
        case AllowedByRule(rule) | Denied(rule):
            return f"{word} by {rule.kind} {rule.pattern}"
        case _:
            return word


def _order(judged: JudgedAccess) -> tuple[int, int, str]:
    return judged.severity.rank, LISTED.index(judged.access.kind), judged.access.target


def _accesses(number: int) -> str:
    return count(number, "access", "accesses")
