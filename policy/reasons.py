"""Proposals that are no question: what a person should hear about a crate all the same.

Accesses that are new but granted already by something wider, grants that nothing uses any more,
and build scripts that are new and stay within the baseline.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from buildperm.policy import compilation, merging, revision, summaries
from buildperm.policy.access import Access, Outcome
from buildperm.policy.coverage import Coverage
from buildperm.policy.decision import signature
from buildperm.policy.grants import CrateGrants, Policy, matching, parse_key
from buildperm.policy.implied_grants import ImpliedGrants, preset_choice
from buildperm.policy.kinds import Kind
from buildperm.policy.pattern_set import PatternSet
from buildperm.policy.presets import PRESETS, expand
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk
from buildperm.policy.risk import of_rule
from buildperm.policy.rule import Rule
from buildperm.policy.snapshot import Seen
from buildperm.policy.undecided_accesses import is_settled
from buildperm.policy.version import age

NOT_LOCKED = "is not in Cargo.lock any more"
_USELESS = "All of it: no run has made use of it."
_ALONG = "It is in Cargo.toml already, and would be in force for this version too."
_EITHER = "To deny removes it from Cargo.toml; to allow keeps it."
_NOTHING = "There is nothing to decide: it stays within what every build script may do."
_NAMED_MOST = 3  # Rules that one sentence names.


def covered(
    crate: str,
    version: str,
    new: Iterable[Seen],
    accesses: Iterable[Access],
    rules: Iterable[Rule],
    denials: Iterable[Rule] = (),
    presets: Collection[str] = (),
) -> list[Proposal]:
    """Tell what is new and was granted beforehand, once for each grant that is wider than it.

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
        if (access.kind, access.target) in news and not access.sensitive:
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
        _id(crate, Reason.COVERED, *signature(choice), *targets),
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


def unused(
    grants: CrateGrants, accesses: Iterable[Access], elsewhere: Iterable[Seen] = ()
) -> frozenset[str]:
    """Return the grants that nothing made use of, as text: `exec:perl`, `preset:cc`.

    A rule is used where it covers anything at all that was done or tried; a preset only where it
    covers something beyond the baseline. Ask only about runs that are complete.

    Args:
        grants: What one key of the grant table says.
        accesses: All that the packages did that the key means: every version, every context.
        elsewhere: What was seen of them in contexts that were not recorded this time.
    """
    there = list(elsewhere)
    targets: dict[Kind, set[str]] = {}
    beyond: dict[Kind, set[str]] = {}
    for access in accesses:
        names = {access.target, access.resolved} - {""}
        targets.setdefault(access.kind, set()).update(names)
        if not is_settled(access):
            beyond.setdefault(access.kind, set()).update(names)
    for seen in there:
        targets.setdefault(seen.kind, set()).add(seen.target)
        beyond.setdefault(seen.kind, set()).add(seen.target)
    by_path = _may_have_run_by_path(grants, there)
    rules = {
        str(rule)
        for rule in grants.rules
        if not (by_path and _is_program_path(rule)) and not _meets((rule,), targets)
    }
    names = {f"preset:{name}" for name in grants.presets if not _meets(PRESETS[name].rules, beyond)}
    return frozenset(rules | names)


def _meets(rules: Iterable[Rule], targets: dict[Kind, set[str]]) -> bool:
    patterns: dict[Kind, list[str]] = {}
    for rule in rules:
        patterns.setdefault(rule.kind, []).append(rule.pattern)
    for kind, found in patterns.items():
        allowed = PatternSet(found)
        if any(map(allowed.covers, targets.get(kind, ()))):
            return True
    return False


def _may_have_run_by_path(grants: CrateGrants, there: Iterable[Seen]) -> bool:
    """Tell whether a program ran elsewhere that nothing grants by its name.

    A snapshot does not say which file a name led to: any grant by path may be the one.
    """
    by_name = Coverage((*grants.rules, *expand(grants.presets)))
    return any(
        seen.kind is Kind.EXEC
        and seen.outcome is Outcome.DONE
        and "/" not in seen.target
        and not by_name.has(Kind.EXEC, seen.target)
        for seen in there
    )


def _is_program_path(rule: Rule) -> bool:
    return rule.kind is Kind.EXEC and ("/" in rule.pattern or rule.pattern.startswith("$"))


def proposed(
    unused_now: Iterable[str],
    unused_before: Collection[str],
    prune: Literal["now", "later", "never"],
) -> frozenset[str]:
    """Return the grants to propose for removal: with `later` only what was unused before, too."""
    match prune:
        case "now":
            return frozenset(unused_now)
        case "later":
            return frozenset(unused_now).intersection(unused_before)
        case "never":
            return frozenset()


def removals(
    crate: str, version: str, grants: CrateGrants, unused_grants: Collection[str]
) -> list[Proposal]:
    """Propose to remove grants; `unused_grants` is as `unused` and `proposed` write them."""
    choices = [
        Choice(f"{rule.kind} {rule.pattern}", (rule,), widening=_USELESS)
        for rule in sorted(grants.rules)
    ]
    choices += [preset_choice(name) for name in sorted(grants.presets)]
    return [
        _removal(crate, version, f"made no use of {_named(choice)}", choice)
        for choice in choices
        if not set(signature(choice)).isdisjoint(unused_grants)
    ]


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
    narrowest = [rule for proposal in asked for rule in proposal.ladder[0].rules]
    if all(proposal.risk < compilation.PINNED for proposal in asked):
        return []
    return [
        _dormant(crate, version, rule, grants)
        for rule in sorted(merging.dormant(grants, revision.of(version, source)))
        if not any(merging.within(rule, shown) for shown in narrowest)
    ]


def _dormant(crate: str, version: str, rule: Rule, grants: CrateGrants) -> Proposal:
    choice = Choice(f"{rule.kind} {rule.pattern}", (rule,), widening=_ALONG)
    risk, reason = of_rule(rule)
    known = ", ".join(map(revision.in_words, sorted(grants.reviewed, key=age)))
    who = f"Reviewed with it: {known}." if known else "Nobody has reviewed any version with it."
    return Proposal(
        _id(crate, Reason.DORMANT, *signature(choice)),
        crate,
        version,
        f"would get {_named(choice)}, too, which was granted before and not asked for now",
        (choice,),
        risk,
        (reason, who, _EITHER),
        (),
        reason=Reason.DORMANT,
    )


def gone(grants: CrateGrants, title: str = NOT_LOCKED) -> Proposal:
    """Propose to remove the whole table of a crate: it grants something to nobody.

    `title` says why, as the end of a sentence about the crate.
    """
    rules = tuple(sorted(grants.rules))
    names = [f"preset {name}" for name in sorted(grants.presets)]
    choice = Choice(", ".join(("its whole table", *names)), rules, widening=_USELESS)
    extra = []
    if grants.denials:
        extra.append("Its denials would go as well.")
    if grants.reason:
        extra.append(f"Its reason was: {grants.reason}")
    return _removal(grants.key, "", title, choice, extra=extra, presets=grants.presets)


def keys(proposal: Proposal) -> tuple[str, ...]:
    """Return the grants that a removal is about, as `unused` writes them."""
    return signature(proposal.ladder[0])


def absent(policy: Policy, packages: Iterable[tuple[str, str, str]]) -> list[CrateGrants]:
    """Return the tables that grant something and mean no package of Cargo.lock, sorted by key.

    A table of denials alone is a precaution, and stays.

    Args:
        policy: The grant table.
        packages: Name, version and source of everything in Cargo.lock.
    """
    locked: dict[str, list[tuple[str, str]]] = {}
    for name, version, source in packages:
        locked.setdefault(name, []).append((version, source))
    return [
        grants
        for _, grants in sorted(policy.crates.items())
        if (grants.rules or grants.presets or grants.reviewed) and not _is_meant(grants, locked)
    ]


def _is_meant(grants: CrateGrants, locked: Mapping[str, Iterable[tuple[str, str]]]) -> bool:
    """Tell whether a key means a package; folders are not known here, so any will do."""
    spec = parse_key(grants.key)
    alone = Policy("", {grants.key: grants}, Path())
    folder = spec.source.removeprefix("path+")
    return any(
        matching(alone, spec.name, version, source, True, False, folder) is not None
        for version, source in locked.get(spec.name, ())
    )


def newcomer(crate: str, version: str, way: Sequence[str]) -> Proposal:
    """Tell of a build script that is new and asks for nothing.

    Args:
        crate: Its key in Cargo.toml.
        version: Of the crate.
        way: How it got into the graph, from a workspace member to the crate itself.
    """
    path = " → ".join(way)
    reason = f"It got into the graph by {path}." if path else "It is in the graph."
    return Proposal(
        _id(crate, Reason.NEWCOMER),
        crate,
        version,
        "is new, and stays within the baseline",
        (Choice("nothing beyond the baseline", ()),),
        Risk.LOW,
        (reason,),
        (),
        _NOTHING,
        Reason.NEWCOMER,
    )


def unrun(crate: str, version: str, way: Sequence[str], commands: Iterable[str]) -> Proposal:
    """Tell of a build script that nobody has seen run: no build that was recorded needs it.

    Args:
        crate: Its key in Cargo.toml.
        version: Of the crate.
        way: How it got into the graph, from a workspace member to the crate itself.
        commands: The words for Cargo that were recorded.
    """
    words = " and ".join(f"`cargo {each}`" for each in sorted(commands))
    return replace(
        newcomer(crate, version, way),
        id=_id(crate, Reason.NEWCOMER, "unrun"),
        title=f"was not run: {words} does without it",
        locked="There is nothing to decide until it runs: other builds still call it unreviewed.",
    )


def _removal(
    crate: str,
    version: str,
    title: str,
    choice: Choice,
    *,
    extra: Iterable[str] = (),
    presets: Iterable[str] = (),
) -> Proposal:
    """Propose to remove what `choice` says; its risk is that of keeping it."""
    judged = sorted((of_rule(rule) for rule in choice.rules), key=lambda found: -found[0])
    names = sorted({choice.preset, *presets} - {""})
    risks = [risk for risk, _ in judged] + [PRESETS[name].risk for name in names]
    told = [f"Preset {name}: {PRESETS[name].why}." for name in names]
    told += [text for _, text in judged[: summaries.NOTES_MOST]]
    return Proposal(
        _id(crate, Reason.UNUSED, title, *signature(choice)),
        crate,
        version,
        title,
        (choice,),
        max(risks, default=Risk.LOW),
        (*told, *extra, _EITHER),
        (),
        reason=Reason.UNUSED,
    )


def _named(choice: Choice) -> str:
    if choice.preset:
        return f"preset `{choice.preset}`"
    return f"{choice.rules[0].kind} `{choice.rules[0].pattern}`"


def _id(crate: str, *parts: str) -> str:
    text = "\n".join((crate, *parts))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
