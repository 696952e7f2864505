"""What may come next in a filter that is being typed: fields, their words, names of crates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from buildperm.policy import selection
from buildperm.policy.access import Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Reason, Risk
from buildperm.policy.role import SubjectKind

_VALUES: Final[dict[str, tuple[str, ...]]] = {
    "kind": tuple(map(str, Kind)),
    "subject": tuple(map(str, SubjectKind)),
    "is": selection.STATES,
    "outcome": tuple(map(str, Outcome)),
    "reason": tuple(map(str, Reason)),
}
_OPERATORS: Final = (">=", "<=", ">", "<", "=")


def candidates(text: str, crates: Iterable[str]) -> tuple[str, ...]:
    """Return what the last word of a filter may become, whole words each.

    Args:
        text: What has been typed so far.
        crates: Names of crates, for `crate:` and `for:`.
    """
    word = _last(text)
    sign = "-" if word.startswith("-") else ""
    field, colon, value = word.removeprefix("-").partition(":")
    if not colon:
        return tuple(f"{sign}{each}:" for each in selection.FIELDS if each.startswith(field))
    if field == "risk":
        operator = next((each for each in _OPERATORS if value.startswith(each)), "")
        known: Iterable[str] = (f"{operator}{risk.name.lower()}" for risk in reversed(Risk))
        if not value:
            known = (*known, ">=high")
    elif field in {"crate", "for"}:
        known = dict.fromkeys(crates)
    else:
        known = _VALUES.get(field, ())
    begun = (each for each in known if each.startswith(value) and " " not in each)
    return tuple(f"{sign}{field}:{each}" for each in begun)


def completed(text: str, crates: Iterable[str]) -> str:
    """Return a filter with its last word completed: as far as it is clear, else to the first."""
    found = candidates(text, crates)
    word = _last(text)
    if not found:
        return text
    first, last = min(found), max(found)  # What these two share, all share.
    same = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first)
    )
    best = first[:same] if same > len(word) else found[0]
    return text.removesuffix(word) + best


def _last(text: str) -> str:
    return text.rpartition(" ")[2]
