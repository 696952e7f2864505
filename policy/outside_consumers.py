"""Consumers outside the workspace: what it means to let a crate's macros have grants for one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from buildperm.policy.proposal import Choice, Risk
from buildperm.policy.risk import assess_rule
from buildperm.policy.rule import Rule
from buildperm.tracer.notation import encode


def extended(choice: Choice, consumer: str) -> Choice:
    """Return a choice that holds where the macros are expanded in `consumer`, too."""
    name = encode(consumer.encode())
    told = f"Lets its macros use all that the crate is granted where {name} uses them."
    return replace(
        choice,
        widening=f"{choice.widening} {told}".strip(),
        consumers=(consumer,),
    )


def judge(consumer: str, rules: Collection[Rule]) -> tuple[Risk, tuple[str, ...]]:
    """Return the worst of what the consumer would get along with it, and what to know of that."""
    name = encode(consumer.encode())
    told = [
        f"{name} is not of this workspace: whoever writes it chooses what the macro does there.",
        "Denying it denies it to the macro wherever it is used.",
    ]
    level = max((assess_rule(rule)[0] for rule in rules), default=Risk.LOW)
    if rules:
        told.append(f"{name} would also get the use of what is granted already.")
    return max(level, Risk.MEDIUM), tuple(told)
