"""Makes findings about grants that are wider than in another commit, and new reviews."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from buildperm.policy.lock_reader import short
from buildperm.policy.snapshot import Snapshot
from buildperm.policy.snapshots import claimed
from buildperm.policy.widening import EVERYBODY, WiderGrant
from buildperm.printable import shortened
from buildperm.report.finding import Finding, Level
from buildperm.report.finding_parts import fingerprint
from buildperm.report.manifest_place import GrantLines
from buildperm.report.rule_catalogue import NEWLY_REVIEWED, WIDER_GRANT

_TITLE_MOST = 300  # Characters.
_DETAIL_MOST = 2_000
_LISTED = 20  # Accesses told in words; all of them are in buildperm.lock.

Snapshots = Mapping[tuple[str, str], Snapshot]


def from_wider(
    changes: Iterable[WiderGrant], places: GrantLines, against: str, *, level: Level
) -> Iterator[Finding]:
    """Yield a finding for each grant that became wider.

    Args:
        changes: All of it.
        places: Lines of the Cargo.toml that holds the grants.
        against: The commit that they were compared with, in words.
        level: An error where it shall fail the command.
    """
    for change in changes:
        whose = () if change.key == EVERYBODY else (change.key,)
        yield Finding(
            rule=WIDER_GRANT,
            level=level,
            crate=change.key,
            version="",
            title=shortened(f"wider: {change.key} {change.what}", _TITLE_MOST),
            details=tuple(
                shortened(line, _DETAIL_MOST) for line in (*change.why, f"Compared with {against}.")
            ),
            way=(),
            remedy=(),
            command="",
            line=places.of_setting(change.place, change.item.partition(":")[2]),
            fingerprint=fingerprint(WIDER_GRANT, change.key, (change.item, *whose)),
            risk=change.risk,
        )


def from_new_reviews(
    before: Snapshots, after: Snapshots, places: GrantLines, against: str
) -> Iterator[Finding]:
    """Tell which build scripts count as reviewed that did not, with what is new in their behaviour.

    Args:
        before: The snapshots of the other commit.
        after: Those that there are now.
        places: Lines of the Cargo.toml that holds the grants.
        against: The other commit, in words.
    """
    for now, then, difference in claimed(before, after):
        known = before.get((now.crate, now.version))
        title = f"{now.crate} {now.version} counts as reviewed, and did not in {against}"
        if known and (known.source, known.inputs) == (now.source, now.inputs):
            title = f"{now.crate} {now.version} was seen doing something else than in {against}"
        told = [] if known else [f"{then.version} did" if then else "no version of it did"]
        told += [f"new: {short(seen)}" for seen in difference.new]
        told += [f"not in it any more: {short(seen)}" for seen in difference.gone]
        if len(told) > _LISTED:
            told = [*told[:_LISTED], f"and {len(told) - _LISTED:,} more"]
        yield Finding(
            rule=NEWLY_REVIEWED,
            level=Level.NOTE,
            crate=now.crate,
            version=now.version,
            title=shortened(title, _TITLE_MOST),
            details=tuple(shortened(line, _DETAIL_MOST) for line in told),
            way=(),
            remedy=(),
            command="",
            line=places.of_crate(now.crate, now.version),
            fingerprint=fingerprint(NEWLY_REVIEWED, now.crate, (now.version,)),
            is_new=then is None,
        )
