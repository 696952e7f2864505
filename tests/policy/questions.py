"""What the tests of questions have in common: accesses, and what is asked about them."""

from __future__ import annotations

from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Proposal
from buildperm.policy.proposals import propose
from buildperm.policy.rule import Rule


def an_access(
    kind: Kind,
    target: str,
    outcome: Outcome = Outcome.DONE,
    *,
    held: str = "",
    example: str = "",
    resolved: str = "",
    is_free: bool = False,
) -> Access:
    chains = (("build script",),)
    return Access(kind, target, outcome, 1, 0, 0, chains, example, held, resolved, is_free)


def some_reads(*targets: str) -> list[Access]:
    return [an_access(Kind.READ, target) for target in targets]


def some_runs(*targets: str) -> list[Access]:
    return [an_access(Kind.EXEC, target) for target in targets]


def all_asked(*accesses: Access, rules: tuple[Rule, ...] = ()) -> list[Proposal]:
    return propose("a", "1.0.0", accesses, rules)


def the_one(*accesses: Access) -> Proposal:
    (proposal,) = all_asked(*accesses)
    return proposal


def patterns_of(proposal: Proposal) -> list[list[str]]:
    return [[rule.pattern for rule in choice.rules] for choice in proposal.choices]
