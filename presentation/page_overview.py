"""What the HTML report says of all crates together: the verdict, the numbers, who touches what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from buildperm.policy.kinds import Kind
from buildperm.presentation.crate_account import CrateAccount, JudgedAccess, Standing, worst
from buildperm.report.html_page import CrateChapter, KeyFigure, Severity, TouchedTarget
from buildperm.report.text import count

_TOUCHED_MOST = 150
_CRATES_MOST = 12  # That touched one thing.


def touched_targets(
    chapters: Iterable[CrateChapter], accounts: Iterable[CrateAccount]
) -> tuple[list[TouchedTarget], int]:
    """Turn the map around: what was touched, the worst and most shared first.

    Also returns how many there are that are not listed. Chapters and accounts go in pairs.
    """
    by_target: dict[tuple[Kind, str], list[tuple[CrateChapter, JudgedAccess]]] = {}
    for chapter, account in zip(chapters, accounts, strict=True):
        for each in account.beyond:
            key = each.access.kind, each.access.target
            by_target.setdefault(key, []).append((chapter, each))
    found = []
    for (kind, target), group in by_target.items():
        crates = list(
            dict.fromkeys(
                (chapter.anchor, f"{chapter.name} {chapter.version}") for chapter, _ in group
            )
        )
        found.append(
            TouchedTarget(
                kind.traits.verb,
                target,
                group[0][1].access.sensitive,
                worst(each for _, each in group),
                tuple(crates[:_CRATES_MOST]),
                max(0, len(crates) - _CRATES_MOST),
            )
        )
    found.sort(
        key=lambda one: (
            one.severity.rank,
            -len(one.crates) - one.crates_left_out,
            one.verb,
            one.target,
        )
    )
    return found[:_TOUCHED_MOST], max(0, len(found) - _TOUCHED_MOST)


def overall_verdict(chapters: Sequence[CrateChapter], accounts: Sequence[CrateAccount]) -> str:
    """Say in one sentence what there is to do."""
    thieves = [
        f"{chapter.name} {chapter.version}"
        for chapter, account in zip(chapters, accounts, strict=True)
        if account.is_theft and account.severity is Severity.CRITICAL
    ]
    undecided = sum(_number(account, Standing.UNDECIDED) for account in accounts)
    waiting = sum(bool(_number(account, Standing.UNDECIDED)) for account in accounts)
    if thieves:
        more = f" and {count(len(thieves) - 1, 'other crate')}" if len(thieves) > 1 else ""
        reaches = "reach" if len(thieves) > 1 else "reaches"
        return (
            f"Looks like theft: {thieves[0]}{more} {reaches} for secrets and for the network. "
            "Do not trust it; remove it or pin the version before."
        )
    if undecided:
        return (
            f"{count(undecided, 'access', 'accesses')} of {count(waiting, 'crate')} "
            f"{'is' if undecided == 1 else 'are'} undecided: `buildperm ci` refuses "
            f"{'it' if undecided == 1 else 'them'}, `buildperm review` asks."
        )
    if any(_number(account, Standing.DENIED) for account in accounts):
        return "Everything is decided: what goes beyond what everybody may do is granted or denied."
    return "Nothing is open: what goes beyond what everybody may do is granted."


def key_figures(accounts: Sequence[CrateAccount]) -> Iterator[KeyFigure]:
    """Yield the numbers at the top."""
    numbers = {
        standing: sum(_number(account, standing) for account in accounts) for standing in Standing
    }
    beyond = sum(bool(account.beyond) for account in accounts)
    undecided = [
        each.severity
        for account in accounts
        for each in account.beyond
        if each.standing is Standing.UNDECIDED
    ]
    yield KeyFigure(f"{len(accounts):,}", "crates that ran code", None)
    yield KeyFigure(f"{beyond:,}", "went beyond what all may do", None)
    yield KeyFigure(
        f"{numbers[Standing.UNDECIDED]:,}",
        "accesses undecided",
        min(undecided, key=lambda one: one.rank, default=Severity.CALM),
    )
    yield KeyFigure(f"{numbers[Standing.GRANTED]:,}", "granted", None)
    yield KeyFigure(f"{numbers[Standing.DENIED]:,}", "denied", None)


def _number(account: CrateAccount, standing: Standing) -> int:
    return Counter(each.standing for each in account.judged)[standing]
