"""The edit of Cargo.toml hunk by hunk: which decisions each comes from, and what it means.

A hunk is what changes in one field of one crate's table. The line above a new table stands for all
of the crate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from buildperm.policy import manifest
from buildperm.policy.decision import Answer
from buildperm.policy.kinds import WORDS
from buildperm.policy.presets import PRESETS
from buildperm.policy.proposal import Reason, Risk
from buildperm.policy.risk import assess_rule
from buildperm.policy.toml_statement import layout
from buildperm.presentation.unified_diff import WHOLE, Hunks, compare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from buildperm.policy.decision import Decision
    from buildperm.policy.grants import CrateGrants
    from buildperm.policy.proposal import Proposal

WHOLE_CRATE: Final = ""
"""The field of a hunk that stands for all of a crate."""

TERMS: Final = ("reason", "expires")
"""The fields that hold for all that a crate is granted."""

_RANGES = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True, slots=True)
class EditHunk:
    """Lines of the diff that change one field of one crate's table."""

    crate: str  # The key in Cargo.toml; empty for what belongs to no crate.
    field: str  # As in Cargo.toml: `exec`, `deny`; see WHOLE_CRATE.
    lines: tuple[int, ...]  # Indices into the lines of the diff; others may lie between them.
    risk: Risk  # Of what it allows newly; LOW where it allows nothing.
    removes: bool  # One of its lines is removed.


@dataclass(frozen=True, slots=True)
class Edit:
    """What writing would change."""

    lines: Hunks
    hunks: tuple[EditHunk, ...]
    by_line: Mapping[int, int]  # Index of the hunk that a line of the diff belongs to.

    def about(self, crate: str) -> frozenset[int]:
        """Return the indices of the hunks about one crate."""
        return frozenset(number for number, each in enumerate(self.hunks) if each.crate == crate)


def edit(before: bytes, after: bytes) -> Edit:
    """Compare two versions of a Cargo.toml that can be read.

    Raises:
        BuildpermError: One of them cannot be read.
    """
    path = Path("Cargo.toml")
    old, new = manifest.read(before, path).crates, manifest.read(after, path).crates
    lines = compare(before, after, WHOLE)
    owners = list(_owners(lines.lines, _fields(before), _fields(after)))
    found: dict[tuple[str, str], list[int]] = {}
    for index, owner in enumerate(owners):
        if owner is not None:
            found.setdefault(owner, []).append(index)
    hunks = tuple(
        EditHunk(
            crate,
            field,
            tuple(indices),
            _risk(field, old.get(crate), new.get(crate)),
            any(lines.lines[index].startswith("-") for index in indices),
        )
        for (crate, field), indices in found.items()
    )
    by_line = {line: number for number, hunk in enumerate(hunks) for line in hunk.lines}
    return Edit(lines, hunks, by_line)


def is_source(proposal: Proposal, decision: Decision, hunk: EditHunk) -> bool:
    """Tell whether a hunk comes, at least in part, from the answer to a proposal."""
    if proposal.crate != hunk.crate or decision.answer not in (Answer.ALLOW, Answer.DENY):
        return False
    choice = proposal.choices[decision.chosen]
    is_asked = proposal.reason is Reason.ASKED
    if decision.answer is Answer.ALLOW and not is_asked:
        return False  # What is granted already stays.
    is_denial = decision.answer is Answer.DENY and (is_asked or proposal.reason is Reason.COVERED)
    if hunk.field == WHOLE_CRATE:
        return True
    if hunk.field == "deny":
        return is_denial
    if hunk.field == "presets":
        return bool(choice.preset) and not is_denial
    if hunk.field == "for":
        return bool(choice.consumers) and not is_denial
    if is_denial and not hunk.removes:
        return False
    kind = WORDS.get(hunk.field)
    return kind is not None and any(rule.kind is kind for rule in choice.rules)


def _fields(raw: bytes) -> dict[int, tuple[str, str]]:
    """Return what each line of a Cargo.toml belongs to, if it is about a crate's grants."""
    text, document = manifest.parse(raw, Path("Cargo.toml"))
    crates = (*manifest.table_path(document), "crates")
    found: dict[int, tuple[str, str]] = {}
    for statement in layout(text).statements:
        path = statement.path
        if path[: len(crates)] != crates or len(path) == len(crates):
            continue
        crate, *rest = path[len(crates) :]
        first = text.count("\n", 0, statement.start)
        for line in range(first, text.count("\n", 0, max(statement.end - 1, 0)) + 1):
            found[line] = crate, rest[0] if rest else WHOLE_CRATE
    return found


def _owners(
    lines: tuple[str, ...],
    old: Mapping[int, tuple[str, str]],
    new: Mapping[int, tuple[str, str]],
) -> Iterator[tuple[str, str] | None]:
    """Yield, for each line of a unified diff, the crate and the field that it changes."""
    before = after = 0
    for line in lines:
        mark = line[:1]
        ranges = _RANGES.match(line)
        if mark == "@" and ranges:
            before, after = int(ranges[1]) - 1, int(ranges[3]) - 1
            yield None
        elif mark == "+":
            yield new.get(after)
            after += 1
        elif mark == "-":
            yield old.get(before)
            before += 1
        else:
            yield None
            before, after = before + 1, after + 1


def _risk(field: str, old: CrateGrants | None, new: CrateGrants | None) -> Risk:
    if field == "presets" and new is not None:
        names = new.presets - (old.presets if old is not None else frozenset())
        return max((PRESETS[name].risk for name in names), default=Risk.LOW)
    had = old.rules if old is not None else frozenset()
    kind = WORDS.get(field)
    rules = (rule for rule in (new.rules if new is not None else ()) if rule not in had)
    return max((assess_rule(rule)[0] for rule in rules if rule.kind is kind), default=Risk.LOW)
