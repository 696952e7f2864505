"""Grants that nothing needs any more: which they are, and the proposals to remove them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal

from buildperm.policy import summaries
from buildperm.policy.access import Access, Outcome
from buildperm.policy.coverage import Coverage
from buildperm.policy.decision import signature
from buildperm.policy.grants import CrateGrants, Policy, matching, parse_key
from buildperm.policy.implied_grants import preset_choice
from buildperm.policy.kinds import Kind
from buildperm.policy.pattern_set import PatternSet
from buildperm.policy.presets import PRESETS, expand
from buildperm.policy.proposal import Choice, Proposal, Reason, Risk, proposal_id
from buildperm.policy.risk import assess_rule
from buildperm.policy.rule import Rule
from buildperm.policy.snapshot import SeenAccess
from buildperm.policy.undecided_accesses import is_settled

EITHER = "Denying removes it from Cargo.toml; allowing keeps it."
_USELESS = "All of it: no run has made use of it."
NOT_LOCKED = "is not in Cargo.lock any more"


def unused(
    grants: CrateGrants, accesses: Iterable[Access], elsewhere: Iterable[SeenAccess] = ()
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


def _may_have_run_by_path(grants: CrateGrants, there: Iterable[SeenAccess]) -> bool:
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
    return signature(proposal.choices[0])


def absent(policy: Policy, packages: Iterable[tuple[str, str, str]]) -> list[CrateGrants]:
    """Return the tables that grant something and mean no package of Cargo.lock, sorted by key.

    A table of denials alone is a precaution, and stays.

    Args:
        policy: The grant table.
        packages: Name, version and source of everything in Cargo.lock.
    """
    locked = _by_name(packages)
    return [
        grants
        for _, grants in sorted(policy.crates.items())
        if (grants.rules or grants.presets or grants.reviewed) and not _is_meant(grants, locked)
    ]


def unmet(policy: Policy, packages: Iterable[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """Return keys with names in `for` that mean no package of Cargo.lock; see `absent`.

    Whoever comes to be called so gets what the macros were granted.
    """
    locked = _by_name(packages)
    return [
        (key, name)
        for key, grants in sorted(policy.crates.items())
        for name in sorted(grants.consumers)
        if not _is_meant(CrateGrants(name), locked)
    ]


def _by_name(packages: Iterable[tuple[str, str, str]]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for name, version, source in packages:
        found.setdefault(name, []).append((version, source))
    return found


def _is_meant(grants: CrateGrants, locked: Mapping[str, Iterable[tuple[str, str]]]) -> bool:
    """Tell whether a key means a package; folders are not known here, so any will do."""
    spec = parse_key(grants.key)
    alone = Policy("", {grants.key: grants}, Path())
    folder = spec.source.removeprefix("path+")
    return any(
        matching(alone, spec.name, version, source, True, False, folder) is not None
        for version, source in locked.get(spec.name, ())
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
    judged = sorted((assess_rule(rule) for rule in choice.rules), key=lambda found: -found[0])
    names = sorted({choice.preset, *presets} - {""})
    risks = [risk for risk, _ in judged] + [PRESETS[name].risk for name in names]
    told = [f"Preset {name}: {PRESETS[name].why}." for name in names]
    told += [text for _, text in judged[: summaries.NOTES_MOST]]
    return Proposal(
        proposal_id(crate, Reason.UNUSED, title, *signature(choice)),
        crate,
        version,
        title,
        (choice,),
        max(risks, default=Risk.LOW),
        (*told, *extra, EITHER),
        (),
        reason=Reason.UNUSED,
    )


def _named(choice: Choice) -> str:
    if choice.preset:
        return f"preset `{choice.preset}`"
    return f"{choice.rules[0].kind} `{choice.rules[0].pattern}`"
