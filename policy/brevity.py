"""Brevity: what one crate is offered stays short enough for somebody to read it in Cargo.toml.

Each proposal by itself suggests few rules. Where the crate as a whole would fill too many lines,
some of them suggest the next wider step, as long as that is no riskier and says what it allows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from buildperm.policy import string_list
from buildperm.policy.kinds import GRANTABLE, Kind
from buildperm.policy.presets import PRESETS, expand
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.risk import assess_rule
from buildperm.policy.rule import Rule

LINES_MOST = 12
"""Lines of one crate's table in Cargo.toml, its heading included."""

_HEADING = 2  # With `reviewed`.
_SHORTENED = "A wider step is suggested than it needs: exactly what was seen would take {} lines."
_LONG = (
    "With all that is asked here the crate has {} lines in Cargo.toml. Nothing shorter is as safe: "
    "look at whether it needs all of this."
)


def briefer(proposals: Sequence[Proposal], granted: Collection[Rule] = ()) -> list[Proposal]:
    """Suggest wider steps where the suggestions of a crate are too long together.

    No step is taken that cannot be granted, holds for others, or is riskier than what it stands
    for; and none of high risk that is about more than reading what is installed. Where that does
    not suffice, the riskiest question says how long it becomes.

    Args:
        proposals: Of one crate.
        granted: What it is granted already, presets expanded.
    """
    of_presets = expand(frozenset(PRESETS))
    found = list(proposals)
    had = [rule for rule in granted if rule not in of_presets]
    before = length(had, _suggestions(found))
    now = before
    while now[0] > LINES_MOST:
        steps = _steps(found, had, now)
        if not steps:
            break
        for _, number, suggested in steps:  # Those that save most come first.
            step = replace(found[number], suggested=suggested)
            left = length(had, _suggestions(found, number, step.suggestion))
            if left < now:
                found[number], now = step, left
            if now[0] <= LINES_MOST:
                break
    told = _SHORTENED.format(before[0])
    found = [
        replace(each, notes=(*each.notes, told)) if each.suggested != was.suggested else each
        for each, was in zip(found, proposals, strict=True)
    ]
    if now[0] > LINES_MOST:
        asked = [number for number, each in enumerate(found) if _counts(each)]
        if asked:
            first = max(asked, key=lambda number: (found[number].risk, -number))
            found[first] = replace(found[first], notes=(*found[first].notes, _LONG.format(now[0])))
    return found


def length(rules: Iterable[Rule], choices: Iterable[Choice]) -> tuple[int, int]:
    """Return how many lines a crate's table has with rules and choices, as the editor writes it.

    Beside it, how many characters: what saves no line by itself may do so with the next step.
    """
    chosen = list(choices)
    new = {rule for choice in chosen for rule in choice.rules}
    # What a wider grant beside it covers goes when that is written: `merging`.
    everything = new | {rule for rule in rules if not _is_below(rule, new)}
    presets = sorted({choice.preset for choice in chosen if choice.preset})
    consumers = sorted({name for choice in chosen for name in choice.consumers})
    lists = [("presets", presets), ("for", consumers)]
    lists += (
        (str(kind), sorted(rule.pattern for rule in everything if rule.kind is kind))
        for kind in GRANTABLE
    )
    lines = sum(_lines(key, values) for key, values in lists if values)
    return _HEADING + lines, sum(len(value) for _, values in lists for value in values)


def _is_below(rule: Rule, others: Collection[Rule]) -> bool:
    """Tell whether a rule lies in a folder that another one is about."""
    end = rule.pattern.find("/")
    while end >= 0:
        around = Rule(rule.kind, f"{rule.pattern[:end]}/**")
        if around in others and around != rule:
            return True
        end = rule.pattern.find("/", end + 1)
    return False


def _lines(key: str, values: Sequence[str]) -> int:
    return string_list.written(values, before=len(key) + 3, newline="\n").count("\n") + 1


def _counts(proposal: Proposal) -> bool:
    return proposal.reason is Reason.ASKED and not proposal.locked


def _suggestions(
    proposals: Sequence[Proposal], number: int = -1, instead: Choice | None = None
) -> list[Choice]:
    """List what is suggested, with another choice in the place of that of one proposal."""
    return [
        instead if instead is not None and other == number else each.suggestion
        for other, each in enumerate(proposals)
        if _counts(each)
    ]


def _steps(
    proposals: Sequence[Proposal], had: Sequence[Rule], now: tuple[int, int]
) -> list[tuple[tuple[int, int], int, int]]:
    """Return the length that each step would leave by itself, with the proposal and the choice.

    There is one for each proposal that a step makes shorter: the smallest that does. They are not
    looked for anew after each that is taken: a crate may ask a thousand things.
    """
    found: list[tuple[tuple[int, int], int, int]] = []
    for number, proposal in enumerate(proposals):
        if not _counts(proposal):
            continue
        for index in range(proposal.suggested + 1, len(proposal.choices)):
            choice = proposal.choices[index]
            if not _is_safe(proposal.suggestion, choice):
                break
            left = length(had, _suggestions(proposals, number, choice))
            if left < now:
                found.append((left, number, index))
                break
    return sorted(found)


def _is_safe(suggested: Choice, choice: Choice) -> bool:
    """Tell whether a choice may be suggested in the place of a narrower one."""
    if choice.locked or choice.consumers != suggested.consumers or choice.preset:
        return False
    if not choice.widening or not choice.rules:
        return False
    worst = max((assess_rule(rule)[0] for rule in suggested.rules), default=None)
    if worst is None or any(assess_rule(rule)[0] > worst for rule in choice.rules):
        return False
    return worst < Risk.HIGH or all(map(_is_read_from_machine, choice.rules))


def _is_read_from_machine(rule: Rule) -> bool:
    """Tell whether a rule of high risk may be wide all the same: files of what is installed.

    How long the list becomes is up to the crate. It must not get by that what it may change or run,
    or what is in a home folder, that nobody has seen it use.
    """
    return rule.kind is Kind.READ and not rule.pattern.startswith("$HOME")
