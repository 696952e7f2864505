"""Exact rules: the narrowest that allow what was seen, and still do so in the next run.

What a script makes itself is not there when it starts, and a rule of the kernel's needs something
to refer to. So a program that was made in OUT_DIR is granted with that folder.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from buildperm.policy.access import Access
from buildperm.policy.kinds import Kind
from buildperm.policy.passing_names import is_passing
from buildperm.policy.rule import Rule
from buildperm.policy.stable_target import grantable, in_any_run

_MADE_IN = ("$OUT_DIR", "$TMP")  # Both are empty in a clean checkout.
_MADE = {Rule(Kind.EXEC, f"{folder}/**"): folder for folder in _MADE_IN}


def of(kind: Kind, accesses: Iterable[Access]) -> tuple[Rule, ...]:
    """Return the rules for what was accessed, sorted."""
    return tuple(sorted({Rule(kind, _pattern(kind, access.target)) for access in accesses}))


def title(kind: Kind, rules: Collection[Rule], folders: int = 0) -> str:
    """Say what rules of `of` allow; it follows "allows". So many are of `folders` that are read."""
    made = [folder for rule, folder in _MADE.items() if rule in rules]
    counted = ((len(rules) - len(made) - folders, kind.traits.noun), (folders, "folder"))
    parts = [f"exactly {_counted(count, noun)}" for count, noun in counted if count]
    if made:
        parts.append(f"any program below {' and '.join(made)}")
    return " and ".join(parts)


def _counted(count: int, noun: str) -> str:
    if count == 1:
        return f"this {noun}"
    return f"these {count} {noun}{'es' if noun.endswith('s') else 's'}"


def widening(rules: Collection[Rule]) -> str:
    """Say what rules of `of` allow beyond what was seen; empty if nothing."""
    if _MADE.keys().isdisjoint(rules):
        return ""
    return "Allows any program that the script makes itself, inside the same limits."


def denied(kind: Kind, target: str) -> Rule:
    """Return the rule that is about one target, in any run, and about nothing else."""
    return Rule(kind, in_any_run(target) if is_passing(kind, target) else grantable(target))


def _pattern(kind: Kind, target: str) -> str:
    if is_passing(kind, target):
        return in_any_run(target)
    if kind is Kind.EXEC and target.startswith(tuple(f"{folder}/" for folder in _MADE_IN)):
        return target.partition("/")[0] + "/**"
    return grantable(target)
