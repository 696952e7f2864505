"""The filter language of a review: `kind:exec risk:>=high crate:*-sys -is:allowed some text`.

`reason:asked|covered|unused|newcomer` tells what has to be decided from what is only told;
`is:undecided` is about the first alone. `is:new` lets through what is new since the last review
and no question: `reason:covered` and `reason:newcomer`. `subject:script|macro|compile` tells what
of the crate did it, and `for:api` in which crate a macro was expanded.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TypeAlias

from buildperm.errors import BuildpermError
from buildperm.policy.access import Outcome
from buildperm.policy.kinds import WORDS, Kind
from buildperm.policy.proposal import Proposal, Reason, Risk
from buildperm.policy.role import SubjectKind, role_text

Test: TypeAlias = Callable[[Proposal, str], bool]
"""Whether a proposal, with the answer given to it, is let through."""

FIELDS = ("kind", "risk", "crate", "subject", "for", "is", "outcome", "reason")

_RENAMED = {"standing": "reason"}
"""Older words for fields, taken for one more version by those who have them in their fingers."""

_ANSWERS = {
    "undecided": "undecided",
    "allowed": "allow",
    "denied": "deny",
    "later": "later",
}
STATES = (*_ANSWERS, "locked", "new")
"""The words of the field `is`."""

_NEW = (Reason.COVERED, Reason.NEWCOMER)
_COMPARISON = re.compile(r"(>=|<=|>|<|=)?(.*)")
_OPERATORS: dict[str, Callable[[int, int], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}


class SearchTexts:
    """What words without a field are looked for in: made when one is, and kept for the next."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Proposal, str]] = {}  # By id, which a changed one keeps.

    def of(self, proposal: Proposal) -> str:
        """Return all that can be found of a proposal, casefolded."""
        kept, text = self._kept.get(proposal.id, (None, ""))
        if kept is not proposal:
            text = _text(proposal)
            self._kept[proposal.id] = proposal, text
        return text


def parse(words: str, texts: SearchTexts | None = None) -> Test:
    """Read a filter: every word must hold; `-` before a word negates it; case is ignored.

    Args:
        words: The filter.
        texts: Kept from one filter to the next, where there is a next one.

    Raises:
        BuildpermError: A word asks for what does not exist.
    """
    texts = texts or SearchTexts()
    tests = [_test(word, texts) for word in words.split()]
    return lambda proposal, answer: all(test(proposal, answer) for test in tests)


def _test(word: str, texts: SearchTexts) -> Test:
    if len(word) > 1 and word.startswith("-"):
        inner = _test(word[1:], texts)
        return lambda proposal, answer: not inner(proposal, answer)
    field, colon, value = word.partition(":")
    field = _RENAMED.get(field, field)
    if not colon or field not in FIELDS:
        text = word.casefold()
        return lambda proposal, _: text in texts.of(proposal)
    match field:
        case "kind":
            word = str(WORDS.get(value.lower(), value))
            kind = Kind(_one_of(word, tuple(map(str, Kind)), field))
            return lambda proposal, _: kind in _kinds(proposal)
        case "risk":
            return _risk(value)
        case "crate":
            pattern = value if set(value) & set("*?[") else f"*{value}*"
            return lambda proposal, _: (
                fnmatchcase(f"{proposal.crate}@{proposal.version}", pattern)
                or fnmatchcase(proposal.crate, pattern)
            )
        case "subject":
            subject = SubjectKind(_one_of(value, tuple(map(str, SubjectKind)), field))
            return lambda proposal, _: any(role.subject is subject for role in proposal.roles)
        case "for":
            consumer = value if set(value) & set("*?[") else f"*{value}*"
            return lambda proposal, _: any(
                role.consumer and fnmatchcase(role.consumer, consumer) for role in proposal.roles
            )
        case "is":
            return _state(_one_of(value, STATES, field))
        case "reason":
            reason = Reason(_one_of(value, tuple(map(str, Reason)), field))
            return lambda proposal, _: proposal.reason is reason
        case _:
            outcome = Outcome(_one_of(value, tuple(map(str, Outcome)), field))
            return lambda proposal, _: any(seen.outcome is outcome for seen in proposal.evidence)


def _state(state: str) -> Test:
    match state:
        case "locked":
            return lambda proposal, _: bool(proposal.locked)
        case "new":
            return lambda proposal, _: proposal.reason in _NEW
        case "undecided":
            return lambda proposal, answer: (
                answer == _ANSWERS[state] and proposal.reason is Reason.ASKED
            )
        case _:
            return lambda _, answer: answer == _ANSWERS[state]


def _risk(value: str) -> Test:
    found = _COMPARISON.fullmatch(value)
    sign, word = (found[1] or "=", found[2]) if found else ("=", value)
    risk = Risk[_one_of(word, tuple(risk.name.lower() for risk in Risk), "risk").upper()]
    compare = _OPERATORS[sign]
    return lambda proposal, _: compare(proposal.risk, risk)


def _one_of(value: str, known: tuple[str, ...], field: str) -> str:
    """Take a word in full or by an unambiguous beginning, as while it is being typed."""
    value = value.lower()
    begun = [word for word in known if word.startswith(value)]
    if value in known or (len(begun) == 1 and value):
        return value if value in known else begun[0]
    close = get_close_matches(value, known, 1)
    raise BuildpermError(
        f"filter: no {field} is called `{value}`" if value else f"filter: `{field}:` needs a value",
        hint=f"Did you mean `{close[0]}`?" if close else f"Use one of: {', '.join(known)}.",
    )


def _kinds(proposal: Proposal) -> set[Kind]:
    seen = {access.kind for access in proposal.evidence}
    return seen | {rule.kind for choice in proposal.choices for rule in choice.rules}


def _text(proposal: Proposal) -> str:
    parts = [proposal.crate, proposal.title, role_text(proposal.roles)]
    for choice in proposal.choices:
        parts += [choice.title, choice.preset, *(rule.pattern for rule in choice.rules)]
    for access in proposal.evidence:
        parts += [access.target, access.example]
    return "\n".join(parts).casefold()
