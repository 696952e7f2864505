"""Coverage: which accesses a set of rules covers, by target or by the program's file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from buildperm.policy.access import Access
from buildperm.policy.kinds import Kind
from buildperm.policy.pattern_set import PatternSet
from buildperm.policy.proposal import Proposal
from buildperm.policy.rule import Rule
from buildperm.rules import sensitive
from buildperm.rules.pattern import is_literal
from buildperm.rules.sensitive_table import BUILT


class Coverage:
    """Rules of all kinds, asked at once."""

    __slots__ = ("_patterns",)

    def __init__(self, rules: Iterable[Rule]) -> None:
        patterns: dict[Kind, list[str]] = {}
        for rule in rules:
            patterns.setdefault(rule.kind, []).append(rule.pattern)
        self._patterns = {kind: PatternSet(found) for kind, found in patterns.items()}

    def covers(self, access: Access) -> bool:
        """Tell whether one of the rules is about the access."""
        return self.has(access.kind, access.target) or bool(
            access.resolved and self.has(access.kind, access.resolved)
        )

    def has(self, kind: Kind, target: str) -> bool:
        """Tell whether one of the rules is about a target."""
        known = self._patterns.get(kind)
        return known is not None and known.covers(target)


def yields_to_wildcards(kind: Kind, target: str) -> bool:
    """Tell whether a wildcard opens a target of the sensitive tier.

    What must not be read is cut out of every folder that is granted. What only must not be written
    is refused as a pattern when grants are read, so that whatever else a folder covers is meant.
    """
    return kind is Kind.WRITE and not sensitive.why(target, writing=False)


class OpenCoverage:
    """What proposals ask already: a proposal within another one need not be asked beside it."""

    __slots__ = ("_asked",)

    def __init__(self, proposals: Iterable[Proposal]) -> None:
        """Take proposals that nobody has decided about yet."""
        self._asked = [(each, GrantCoverage(_asked_rules(each))) for each in proposals]

    def includes(self, proposal: Proposal) -> bool:
        """Tell whether one of them is about all that another one is about, and no less risky."""
        seen = proposal.evidence
        return bool(seen) and any(
            (asked.crate, asked.version) == (proposal.crate, proposal.version)
            and asked.risk >= proposal.risk
            and all(map(coverage.covers, seen))
            for asked, coverage in self._asked
        )


def _asked_rules(proposal: Proposal) -> Iterator[Rule]:
    yield from (Rule(access.kind, access.target) for access in proposal.evidence)
    for choice in proposal.choices:
        yield from () if choice.locked else choice.rules


class GrantCoverage:
    """What grants open: a wildcard is hardly ever enough for the sensitive tier."""

    __slots__ = ("_all", "_exact")

    def __init__(self, rules: Iterable[Rule]) -> None:
        everything = tuple(rules)
        self._all = Coverage(everything)
        self._exact = Coverage(rule for rule in everything if is_literal(rule.pattern))

    def covers(self, access: Access) -> bool:
        """Tell whether the access is allowed."""
        is_open = not access.sensitive or (
            # Where Cargo builds is for the machine to say: see `sensitive.built_in`.
            access.sensitive != BUILT and yields_to_wildcards(access.kind, access.target)
        )
        return (self._all if is_open else self._exact).covers(access)
