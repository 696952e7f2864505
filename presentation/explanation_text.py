"""Explanations as sentences: whether a build script may do something, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from buildperm.policy.explanation import (
    AllowedByBaseline,
    AllowedByPreset,
    AllowedByRule,
    Denied,
    HabitualAttempt,
    NeverGrantable,
    NotGranted,
    NotInForce,
    Sensitive,
)
from buildperm.policy.kinds import Kind
from buildperm.policy.presets import PRESETS
from buildperm.policy.role import SubjectKind
from buildperm.presentation.wording import verb
from buildperm.printable import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from buildperm.policy.explanation import Explanation
    from buildperm.policy.rule import Rule


def action_text(kind: Kind, targets: Iterable[str]) -> str:
    """Say what an access does, as it follows "may": "read `/etc/hosts`"."""
    return f"{verb(kind)} {', '.join(f'`{shown(target)}`' for target in targets)}"


def preset_text(name: str) -> str:
    """Say what a preset lets a build script do, as it follows "may"."""
    return f"{PRESETS[name].title} (preset `{name}`)"


def verdict_text(
    crate: str,
    kind: Kind,
    target: str,
    explanation: Explanation,
    subjects: Collection[SubjectKind] = (SubjectKind.SCRIPT,),
) -> str:
    """Tell whether a crate may do something, and why, in one sentence without a full stop.

    `subjects` say what of the crate it is asked about.
    """
    who, what = f"`{shown(crate)}`", action_text(kind, [target])
    match explanation:
        case AllowedByBaseline(pattern, ""):
            return f"allowed: {_everybody(subjects)} may {action_text(kind, [pattern])}"
        case AllowedByBaseline(_, why):
            return f"allowed: {_everybody(subjects)} may {what}: {why}"
        case AllowedByPreset(name, rule, origin):
            return (
                f"allowed: {who} is granted preset `{name}`, which may {_rule(rule)}{_by(origin)}"
            )
        case AllowedByRule(rule, origin):
            return f"allowed: {who} is granted to {_rule(rule)}{_by(origin)}"
        case NotInForce(rule, "", why):
            return (
                f"refused: {who} is granted to {_rule(rule)}, but that is not in force: "
                f"{shown(why)}"
            )
        case NotInForce(rule, name, why):
            return (
                f"refused: {who} is granted preset `{name}`, which may {_rule(rule)}, but that is "
                f"not in force: {shown(why)}"
            )
        case Denied(rule, origin):
            return f"refused: {who} is denied to {_rule(rule)}{_by(origin)}"
        case Sensitive(why, wildcard):
            reason = f"refused: `{shown(target)}` is sensitive ({shown(why)})"
            if wildcard is None:
                return f"{reason}, which only an exact grant with a reason opens"
            return f"{reason}, which the wildcard `{shown(wildcard.pattern)}` cannot open"
        case NeverGrantable(why):
            return f"refused: nothing can allow {who} to {what}: {shown(why)}"
        case HabitualAttempt(_):
            return f"refused: programs try to {what} out of habit, and mostly do without"
        case NotGranted():
            return f"refused: neither the baseline nor a grant lets {who} {what}"
        case _:
            assert_never(explanation)


def _everybody(subjects: Collection[SubjectKind]) -> str:
    """Name all that the baseline holds for, among what the question is about."""
    words = {SubjectKind.SCRIPT: "build script", SubjectKind.MACRO: "procedural macro"}
    named = [word for subject, word in words.items() if subject in subjects]
    return f"every {' and every '.join(named)}" if named else "compiling any crate"


def _by(origin: str) -> str:
    """Say which imported file it is from."""
    return f" (imported: `{shown(origin)}`)" if origin else ""


def _rule(rule: Rule) -> str:
    return action_text(rule.kind, [rule.pattern])
