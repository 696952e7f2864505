"""Write conflicts: places that two crates may write, which `shared` has to declare.

Build scripts run side by side, and each could change what the other has made: a folder that is
granted to both is a way from one crate to the other. A pair is meant where what both may write lies
within a pattern of `shared` in the grant table. A place of the target directory that crates share
by its nature needs none: that is what is asked about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from buildperm.policy.grants import Policy, parse_key
from buildperm.policy.kinds import Kind
from buildperm.rules import own_temporaries
from buildperm.rules.shared_output import root

_BELOW = "/**"
_OWN = ("$OUT_DIR", "$TMP", "$MANIFEST_DIR")


@dataclass(frozen=True, slots=True)
class Area:
    """One file, or a folder with everything below it: what a write grant can name."""

    path: str  # Comparable text.
    is_folder: bool

    def holds(self, other: Area) -> bool:
        """Tell whether all of `other` lies in it."""
        if self.path == other.path:
            return self.is_folder or not other.is_folder
        return self.is_folder and other.path.startswith(self.path.rstrip("/") + "/")

    def meets(self, other: Area) -> bool:
        """Tell whether anything lies in both."""
        return self.path == other.path or self.holds(other) or other.holds(self)


@dataclass(frozen=True, slots=True)
class Claim:
    """A grant to write."""

    who: str  # What tells one crate from another, whatever their version.
    key: str  # In the grant table.
    pattern: str  # As written there.
    area: Area


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two crates that may write the same place, which no `shared` entry declares."""

    first: Claim
    second: Claim

    @property
    def narrower(self) -> Claim:
        """The claim that covers nothing but what both may write."""
        return self.second if self.first.area.holds(self.second.area) else self.first

    @property
    def what(self) -> str:
        """What is wrong, as a clause about the second."""
        return (
            f"`{self.second.pattern}`: `{self.first.key}` may write there, too "
            f"(`{self.first.pattern}`), and each could change what the other has made"
        )

    def hint(self, home: str, both: str) -> str:
        """Return the way out.

        Args:
            home: The grant table, as TOML writes it.
            both: A pattern for what both may write.
        """
        return (
            f"Narrow or remove one of them; if it is meant, "
            f'add `shared = ["{both}"]` to `[{home}]`.'
        )


def area(pattern: str) -> Area:
    """Return what a write grant names."""
    is_folder = pattern.endswith(_BELOW)
    return Area(pattern.removesuffix(_BELOW) or "/", is_folder)


def claims(policy: Policy) -> Iterator[Claim]:
    """Yield what each key may write, as it is written; not what is each crate's own."""
    for key, grants in sorted(policy.crates.items()):
        spec = parse_key(key)
        for rule in sorted(grants.rules):
            if rule.kind is Kind.WRITE and not (is_own(rule.pattern) or root(rule.pattern)):
                yield Claim(f"{spec.source}#{spec.name}", key, rule.pattern, area(rule.pattern))


def is_own(pattern: str) -> bool:
    """Tell whether a pattern means a different place for each crate."""
    return pattern.partition("/")[0] in _OWN or own_temporaries.is_own(pattern)


def conflict(claimed: Iterable[Claim], shared: Sequence[Area]) -> Conflict | None:
    """Return two claims of different crates that meet where nothing is shared."""
    for first, second in combinations(claimed, 2):
        if first.who == second.who or not first.area.meets(second.area):
            continue
        found = Conflict(first, second)
        if not any(each.holds(found.narrower.area) for each in shared):
            return found
    return None
