"""Proposals that inform more than they ask: what is covered, dormant, new, or was never run.

Accesses that are new but granted already by something wider, grants that nothing uses any more,
and build scripts that are new and stay within the baseline.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from buildperm.policy import compilation, merging, revision, summaries
from buildperm.policy.access import Access
from buildperm.policy.coverage import Coverage
from buildperm.policy.decision import signature
from buildperm.policy.grants import CrateGrants
from buildperm.policy.implied_grants import ImpliedGrants
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk, proposal_id
from buildperm.policy.removal_proposals import EITHER, _named
from buildperm.policy.risk import assess_rule
from buildperm.policy.rule import Rule
from buildperm.policy.snapshot import SeenAccess
from buildperm.policy.stable_target import lasting
from buildperm.policy.version import sort_key

_ALONG = "It is in Cargo.toml already, and would be in force for this version too."
_NOTHING = "There is nothing to decide: it stays within what every build script may do."
_NAMED_MOST = 3  # Rules that one sentence names.


def covered(
    crate: str,
    version: str,
    new: Iterable[SeenAccess],
    accesses: Iterable[Access],
    rules: Iterable[Rule],
    denials: Iterable[Rule] = (),
    presets: Collection[str] = (),
) -> list[Proposal]:
    """Propose what is new but granted beforehand, once for each wider grant.

    So nothing hides behind a wide grant. What a grant says exactly is no news.

    Args:
        crate: Its key in Cargo.toml.
        version: Of the crate.
        new: What was not seen when it was reviewed last.
        accesses: All that it did.
        rules: What it is granted, those that are in force; with or without those of presets.
        denials: What a person has refused it.
        presets: Names of the presets that it is granted.
    """
    grants = CrateGrants(
        crate,
        frozenset({version}),
        frozenset(presets),
        frozenset(rules),
        frozenset(denials),
    )
    news = {(seen.kind, seen.target) for seen in new}
    refused = Coverage(grants.denials)
    grant = ImpliedGrants(compilation.effective(grants, version).rules, grants.presets)
    groups: dict[Choice, list[Access]] = {}
    for access in accesses:
        # No wildcard opens the sensitive tier: what is refused there is asked about.
        if (access.kind, lasting(access.kind, access.target)) in news and not access.sensitive:
            choice = None if refused.covers(access) else grant.of(access)
            if choice is not None:
                groups.setdefault(choice, []).append(access)
    found = [_covered(crate, version, choice, group, grants) for choice, group in groups.items()]
    return sorted(found, key=lambda proposal: (-proposal.risk, proposal.title))


def _covered(
    crate: str, version: str, choice: Choice, group: Sequence[Access], grants: CrateGrants
) -> Proposal:
    by = f"preset `{choice.preset}`" if choice.preset else f"`{choice.rules[0].pattern}`"
    kinds = dict.fromkeys(access.kind for access in group)
    done = [
        summaries.title(kind, [access for access in group if access.kind is kind]) for kind in kinds
    ]
    risk, notes = summaries.risk_notes(group)
    targets = sorted(f"{access.kind} {access.target}" for access in group)
    return Proposal(
        proposal_id(crate, Reason.COVERED, *signature(choice), *targets),
        crate,
        version,
        f"new, but already allowed by {by}: {'; '.join(done)}",
        (choice,),
        risk,
        (*notes, *summaries.unstable(group), *_loss(group, grants)),
        tuple(group),
        reason=Reason.COVERED,
    )


def _loss(group: Iterable[Access], grants: CrateGrants) -> tuple[str, ...]:
    """Say what else a denial would take out of force."""
    (version,) = grants.reviewed
    denials = merging.exactly(group)
    before = compilation.effective(grants, version).rules
    after = compilation.effective(replace(grants, denials=grants.denials | denials), version).rules
    lost = [f"`{rule.pattern}`" for rule in sorted(before - after - denials)]
    if not lost:
        return ()
    more = f" and {len(lost) - _NAMED_MOST} more" if len(lost) > _NAMED_MOST else ""
    return (
        f"Denying it also takes {', '.join(lost[:_NAMED_MOST])}{more} out of force: a part of what "
        "is granted cannot be kept back.",
    )


def dormant(
    crate: str,
    version: str,
    grants: CrateGrants,
    asked: Iterable[Proposal],
    source: str = "",
) -> list[Proposal]:
    """Ask about each risky grant that a review of this version would put in force by the way.

    Nothing where the version asks for nothing risky: then no answer does that.

    Args:
        crate: Its key in Cargo.toml.
        version: Of the crate.
        grants: What the key says.
        asked: What the version asks for.
        source: Cargo's source string of the crate.
    """
    asked = list(asked)
    narrowest = [rule for proposal in asked for rule in proposal.choices[0].rules]
    if all(proposal.risk < compilation.PINNED for proposal in asked):
        return []
    return [
        _dormant(crate, version, rule, grants)
        for rule in sorted(merging.dormant(grants, revision.of_package(version, source)))
        if not any(merging.within(rule, shown) for shown in narrowest)
    ]


def _dormant(crate: str, version: str, rule: Rule, grants: CrateGrants) -> Proposal:
    choice = Choice(f"{rule.kind} {rule.pattern}", (rule,), widening=_ALONG)
    risk, reason = assess_rule(rule)
    known = ", ".join(map(revision.in_words, sorted(grants.reviewed, key=sort_key)))
    who = f"Reviewed with it: {known}." if known else "Nobody has reviewed any version with it."
    return Proposal(
        proposal_id(crate, Reason.DORMANT, *signature(choice)),
        crate,
        version,
        f"would get {_named(choice)}, too, which was granted before and not asked for now",
        (choice,),
        risk,
        (reason, who, EITHER),
        (),
        reason=Reason.DORMANT,
    )


def newcomer(crate: str, version: str, way: Sequence[str], *, is_plain: bool = True) -> Proposal:
    """Inform about a new build script that asks for nothing.

    Args:
        crate: Its key in Cargo.toml.
        version: Of the crate.
        way: How it got into the graph, from a workspace member to the crate itself.
        is_plain: It stays within the baseline; else it is granted or denied what is beyond that.
    """
    within = "the baseline" if is_plain else "what is granted or denied"
    path = " → ".join(way)
    reason = f"It got into the graph by {path}." if path else "It is in the graph."
    return Proposal(
        proposal_id(crate, Reason.NEWCOMER),
        crate,
        version,
        f"is new, and stays within {within}",
        (Choice(f"nothing beyond {within}", ()),),
        Risk.LOW,
        (reason,),
        (),
        _NOTHING,
        Reason.NEWCOMER,
    )


def unrun(crate: str, version: str, way: Sequence[str], commands: Iterable[str]) -> Proposal:
    """Inform about a build script that never ran: no recorded build needs it.

    Args:
        crate: Its key in Cargo.toml.
        version: Of the crate.
        way: How it got into the graph, from a workspace member to the crate itself.
        commands: The words for Cargo that were recorded.
    """
    words = " and ".join(f"`cargo {each}`" for each in sorted(commands))
    return replace(
        newcomer(crate, version, way),
        id=proposal_id(crate, Reason.NEWCOMER, "unrun"),
        title=f"was not run: {words} does without it",
        locked="There is nothing to decide until it runs: other builds still call it unreviewed.",
    )
