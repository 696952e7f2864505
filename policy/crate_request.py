"""Requests: what a crate's own Cargo.toml asks for in `[package.metadata.buildperm]`.

It is shown, and never obeyed: whoever writes the crate writes it. It holds the lists of a table of
grants, `presets` and a `reason`. What cannot be read of it is told, and is no error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from buildperm.policy import presets
from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import GRANTABLE
from buildperm.policy.proposal import Proposal, Reason
from buildperm.policy.rule import Rule
from buildperm.policy.snapshot import SeenAccess
from buildperm.policy.undecided_accesses import undecided
from buildperm.policy.validation import to_denial

_MOST = 200  # Lists are foreign text: so many entries of one are looked at.


@dataclass(frozen=True, slots=True)
class CrateRequest:
    """What a crate says that it needs."""

    presets: frozenset[str]
    rules: frozenset[Rule]
    reason: str  # Foreign text.
    unread: tuple[str, ...]  # Keys of which not everything could be read, sorted.

    def everything(self) -> list[Rule | str]:
        """Return all that it asks for: rules, then the names of presets."""
        return [*sorted(self.rules), *sorted(self.presets)]

    def beyond(self, seen: Iterable[SeenAccess]) -> list[Rule | str]:
        """Return what it asks for, rules and presets, that was not seen to be of use."""
        left = undecided([_access(each) for each in seen])
        idle: list[Rule | str] = [
            rule for rule in sorted(self.rules) if len(undecided(left, [rule])) == len(left)
        ]
        idle += (
            name
            for name in sorted(self.presets)
            if len(undecided(left, presets.PRESETS[name].rules)) == len(left)
        )
        return idle

    def unasked(self, seen: Iterable[SeenAccess]) -> list[SeenAccess]:
        """Return what was seen that it does not ask for, sorted."""
        asked = self.rules | presets.expand(self.presets)
        return [each for each in sorted(seen) if undecided([_access(each)], asked)]


def told(proposal: Proposal, request: CrateRequest | None) -> Proposal:
    """Return a proposal that says whether the crate itself asks for it, if it asks for anything."""
    if request is None or proposal.reason is not Reason.ASKED:
        return proposal
    asked = request.rules | presets.expand(request.presets)
    left = undecided(proposal.evidence, asked)
    if not left:
        note = "Its own Cargo.toml asks for this; that grants nothing."
    elif len(left) < len(proposal.evidence):
        note = "Its own Cargo.toml asks for a part of this only."
    else:
        note = "Its own Cargo.toml asks for other things, and not for this."
    return replace(proposal, notes=(*proposal.notes, note))


def read(metadata: object) -> CrateRequest | None:
    """Read the request in the `metadata` of a package; None where it has none.

    A table with `version` or `crates` alone is the grants of that package's own workspace.
    """
    table = metadata.get("buildperm") if isinstance(metadata, dict) else None
    if not isinstance(table, dict):
        return None
    keys = ("presets", *map(str, GRANTABLE))
    if not any(key in table for key in keys):
        return None
    unread: set[str] = set()
    rules: set[Rule] = set()
    for kind in GRANTABLE:
        for pattern in _strings(table.get(str(kind), []), str(kind), unread):
            if to_denial(Rule(kind, pattern)) is None:
                rules.add(Rule(kind, pattern))
            else:
                unread.add(str(kind))
    named = set(_strings(table.get("presets", []), "presets", unread))
    if named - {*presets.NAMES}:
        unread.add("presets")
    reason = table.get("reason", "")
    return CrateRequest(
        frozenset(named & {*presets.NAMES}),
        frozenset(rules),
        reason if isinstance(reason, str) else "",
        tuple(sorted(unread)),
    )


def _strings(listed: object, key: str, unread: set[str]) -> list[str]:
    found = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    if not isinstance(listed, list) or len(found) < len(listed) or len(found) > _MOST:
        unread.add(key)
    return found[:_MOST]


def _access(seen: SeenAccess) -> Access:
    return Access(seen.kind, seen.target, Outcome.DONE, 1, 0, 0, ())
