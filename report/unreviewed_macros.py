"""Macros that were not reviewed: many at once, as they are built with the same packages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from buildperm.policy.role import SubjectKind
from buildperm.printable import printable
from buildperm.report.finding import Finding
from buildperm.report.rule_catalogue import NOT_REVIEWED

_TOGETHER = 4  # As many that were not reviewed for the same reason share a block.
_NAMED_MOST = 12  # Of them.


def taken_out(findings: Sequence[Finding]) -> tuple[list[Finding], list[list[Finding]]]:
    """Return the findings that stand alone, and groups of those that say the same of macros."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        subjects = {role.subject for role in finding.roles}
        if finding.rule == NOT_REVIEWED and subjects == {SubjectKind.MACRO}:
            reason = finding.level, finding.is_new, finding.details
            groups.setdefault(reason, []).append(finding)
    together = [group for group in groups.values() if len(group) >= _TOGETHER]
    taken = {id(finding) for group in together for finding in group}
    return [each for each in findings if id(each) not in taken], together


def lines(group: Sequence[Finding], level: str) -> Iterator[str]:
    """Tell of a group; `level` is the word for how much that matters."""
    first = group[0]
    names = [f"{each.crate} {each.version}" for each in group]
    more = f" and {len(names) - _NAMED_MOST} more" if len(names) > _NAMED_MOST else ""
    told = "that nobody has reviewed" if first.is_new else "not reviewed as they are now"
    yield printable(f"{len(group)} crates with procedural macros")
    yield printable(f"  {level}: {told}: {', '.join(names[:_NAMED_MOST])}{more}")
    for detail in first.details:
        yield printable(f"      {detail}")
    yield printable(f"  next: {first.command}")
    yield ""
