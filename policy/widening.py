"""Widening: what one grant table allows and another one did not, to whom, and for what reason.

Tables are compared by what they allow, not by their text: for each package that a key of either
means, in each of its versions, presets expanded and denials taken out. What an earlier rule covers
is not wider; nor is a table that was renamed, moved, sorted or commented.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from buildperm.policy import compile_widening
from buildperm.policy import revision as revisions
from buildperm.policy.allowance import Allowance
from buildperm.policy.compilation import secret_variables
from buildperm.policy.granted_packages import GrantedPackage, Tables, granted_packages
from buildperm.policy.grants import AUTO, CrateGrants, Policy
from buildperm.policy.inclusion import contains
from buildperm.policy.kinds import Kind
from buildperm.policy.presets import PRESETS
from buildperm.policy.proposal import Risk
from buildperm.policy.risk import assess_rule
from buildperm.policy.rule import Rule
from buildperm.policy.runtime_table import strength
from buildperm.policy.write_conflicts import area
from buildperm.rules import limits

EVERYBODY = "all build scripts"
"""Whom a change is about that is no single crate's; no package has such a name."""

_NAMED_MOST = 5

_Limits: TypeAlias = tuple[str, Mapping[str, int]] | None  # With the key of their table.


@dataclass(frozen=True, slots=True)
class WiderGrant:
    """One thing that is wider than it was; with the two sides exchanged, narrower."""

    key: str  # Of the grant table, or EVERYBODY.
    item: str  # What it is about, in short: `read:/etc/x`, `preset:cc`, `limit seconds`.
    what: str  # A clause that follows the key: "may run `perl`".
    why: tuple[str, ...]  # Sentences: the risk, the reason that the table gives.
    risk: Risk | None  # None where no rule was judged.
    place: tuple[str, ...]  # Keys from the grant table on, to where it stands.

    def __str__(self) -> str:
        return self.item if self.key == EVERYBODY else f"{self.key} {self.item}"


def wider(
    before: Policy,
    after: Policy,
    locked: Iterable[tuple[str, str]],
    context: str,
    keys: Collection[str] = (),
    folders: tuple[Collection[str] | None, Collection[str] | None] = (None, None),
) -> list[WiderGrant]:
    """Return what `after` allows and `before` does not, the gravest first.

    Called with the two exchanged it returns what has become narrower.

    Args:
        before: The grants that are the reference.
        after: Those that are compared with it.
        locked: Name and version of the packages in Cargo.lock, of both sides.
        context: What is checked where a table declares no contexts.
        keys: Those of `exact_paths` that lead to a key on this machine: see `RuleSet`.
        folders: Names by which plain keys meant a folder, and do now: see `Tables`.
    """
    old, new = Tables(before, folders[0]), Tables(after, folders[1])
    both = list(granted_packages((old, new), locked))
    found = [
        *_of_everybody(before, after, context),
        *_of_crates(old, new, both, keys),
        *_of_compiling(before, after, ((old.grants(each), new.grants(each)) for each in both)),
        *_of_limits(before, after, ((old.limits(each), new.limits(each)) for each in both)),
    ]
    return sorted(found, key=lambda change: (-(change.risk or Risk.LOW), change.key, change.item))


def _hours(seconds: int) -> str:
    return f"{seconds // 3600} hours"


def _strength(runtime: str) -> float:
    """Return how strong a word of `runtime` counts: what `auto` means depends on the machine."""
    return 0.5 if runtime == AUTO else strength(runtime)  # More than the weakest, less than others.


def _of_everybody(before: Policy, after: Policy, context: str) -> Iterator[WiderGrant]:
    for name, was, now in (
        ("require", before.require, after.require),
        ("runtime", before.runtime, after.runtime),
    ):
        if _strength(now) < _strength(was):
            what = f"may be held by less: `{name}` was `{was}` and is `{now}`"
            yield _plain(EVERYBODY, name, what, (name,))
    known = [area(pattern) for pattern in before.shared]
    for pattern in after.shared:
        if not any(each.holds(area(pattern)) for each in known):
            what = f"that may write `{pattern}` may change what others have made there"
            yield _plain(EVERYBODY, f"shared {pattern}", what, ("shared",))
    if after.min_age < before.min_age:
        now = f"is {_hours(after.min_age)}" if after.min_age else "is none"
        what = f"may be younger: `min-age` was {_hours(before.min_age)} and {now}"
        yield _plain(EVERYBODY, "min-age", what, ("min-age",))
    for key in after.young if after.min_age else ():
        if key not in before.young and before.min_age:
            what = f"of `{key}` have their grants although it is younger than `min-age`"
            yield _plain(EVERYBODY, f"young {key}", what, ("young",))
    trusted = before.cache_store.keys if before.cache_store else ()
    for key in after.cache_store.keys if after.cache_store else ():
        if key not in trusted:
            what = f"may be replaced by results that `{key}` has signed"
            yield _plain(EVERYBODY, f"cache-key:{key}", what, ("cache", "keys"))
    if after.root_digest != before.root_digest:
        was, now = (
            each or "this machine's own" for each in (before.root_digest, after.root_digest)
        )
        what = f"run programs of another system: `root-digest` was {was} and is {now}"
        yield _plain(EVERYBODY, "root-digest", what, ("root-digest",))
    declared = after.contexts or (context,)
    for words in before.contexts or (context,):
        if words not in declared:
            what = f"are not looked at with `{words}` any more"
            yield _plain(EVERYBODY, f"context {words}", what, ("contexts",))
    for name in limits.DEFAULTS:
        yield from _of_limit(EVERYBODY, name, before.limits, after.limits, ("limits", name))


def _of_limit(
    key: str, name: str, was: Mapping[str, int], now: Mapping[str, int], place: tuple[str, ...]
) -> Iterator[WiderGrant]:
    old, new = limits.value(was, name), limits.value(now, name)
    if new != old and old != limits.NONE and (new == limits.NONE or new > old):
        shown = limits.in_words(name, new) if new else f"no limit for `{name}`"
        what = f"may use more: {shown}, and it was {limits.in_words(name, old)}"
        yield _plain(key, f"limit {name}", what, place)


def _of_limits(
    before: Policy, after: Policy, both: Iterable[tuple[_Limits, _Limits]]
) -> Iterator[WiderGrant]:
    """Yield limits of single crates; what follows from those of all alone is told there."""
    found: dict[str, WiderGrant] = {}
    for was, now in both:
        own = {**(was[1] if was else {}), **(now[1] if now else {})}
        key = (now or was or ("", {}))[0]
        old = {**before.limits, **(was[1] if was else {})}
        new = {**after.limits, **(now[1] if now else {})}
        for name in own:
            place = ("limits", "crates", key, name)
            for change in _of_limit(key, name, old, new, place):
                found.setdefault(str(change), change)
    yield from found.values()


def _of_compiling(
    before: Policy,
    after: Policy,
    both: Iterable[tuple[CrateGrants | None, CrateGrants | None]],
) -> Iterator[WiderGrant]:
    """Yield how compilers are held by less, and for whom macros may act besides."""
    found = [*compile_widening.of_everybody(before, after)]
    for was, now in both:
        found += compile_widening.of_table(was, now, before, after)
    for each in dict.fromkeys(found):
        yield _plain(each.key or EVERYBODY, each.item, each.what, each.place)


def _of_crates(
    before: Tables, after: Tables, both: Iterable[GrantedPackage], keys: Collection[str]
) -> Iterator[WiderGrant]:
    """Yield what single crates may, once for each key however many packages it means."""
    compared: dict[tuple[CrateGrants | None, CrateGrants], _TableDifference] = {}
    by_key: dict[str, list[_PackageDifference]] = {}
    undenied: dict[tuple[str, str], WiderGrant] = {}
    for package in both:
        was, now = before.grants(package), after.grants(package)
        for change in (*_not_denied(was, now), *_lasting_longer(was, now)):
            undenied.setdefault((change.key, change.item), change)
        if now is None:
            continue
        pair = was, now
        if pair not in compared:
            compared[pair] = _beyond(was, now, keys)
        by_key.setdefault(now.key, []).append(_PackageDifference(package, now, compared[pair]))
    yield from undenied.values()
    for key in sorted(by_key):
        yield from _of_crate(by_key[key])


@dataclass(frozen=True, slots=True)
class _TableDifference:
    """What one table allows beyond another."""

    items: frozenset[str | Rule]  # Names of presets, and rules.
    pinned: frozenset[Rule]  # Granted before; held to the versions that are reviewed.
    reviewed: frozenset[str]  # Entries that are new.
    values: frozenset[tuple[str, str]]
    """Entries of `reviewed`, and variables that are seen there though they hold a secret."""


class _PackageDifference(NamedTuple):
    package: GrantedPackage
    table: CrateGrants
    beyond: _TableDifference


def _beyond(was: CrateGrants | None, now: CrateGrants, keys: Collection[str]) -> _TableDifference:
    old, new = Allowance(was, keys), Allowance(now, keys)
    items: set[str | Rule] = {
        name for name in now.presets if not all(map(old.has_lasting, new.of_preset(name)))
    }
    pinned = set()
    for rule in new.own:
        if old.has_lasting(rule):
            continue
        if new.is_pinned(rule) and old.has_pinned(rule):
            pinned.add(rule)
        else:
            items.add(rule)
    known = was.reviewed if was else frozenset[str]()
    values = {
        (entry, name)
        for entry in now.reviewed
        for name in set(secret_variables(now, entry)).difference(secret_variables(was, entry))
        if not new.is_pinned(Rule(Kind.ENV, name))  # Which is told as a rule.
    }
    return _TableDifference(
        frozenset(items), frozenset(pinned), now.reviewed - known, frozenset(values)
    )


def _of_crate(meant: Collection[_PackageDifference]) -> Iterator[WiderGrant]:
    table = next(iter(meant)).table
    items = frozenset[str | Rule]().union(*(each.beyond.items for each in meant))
    for item in sorted(items, key=str):
        yield _granted(table, item, _scope(item, meant))
    told: set[tuple[str, Rule]] = set()
    for each in meant:
        for entry in sorted(each.beyond.reviewed):
            if entry.partition("#")[0] != each.package.version:
                continue
            for rule in sorted(each.beyond.pinned - items):
                if (entry, rule) not in told:
                    told.add((entry, rule))
                    scope = f" in version {entry}, too, which is new in `reviewed`"
                    yield _granted(table, rule, scope)
    yield from _of_values(table, meant)


def _of_values(table: CrateGrants, meant: Collection[_PackageDifference]) -> Iterator[WiderGrant]:
    """Yield the variables that are now passed on although their values hold a secret."""
    found: dict[str, set[str]] = {}
    for each in meant:
        for entry, name in each.beyond.values:
            if entry.partition("#")[0] == each.package.version:
                found.setdefault(name, set()).add(entry)
    for name, entries in sorted(found.items()):
        scope = _listed(f"version {revisions.in_words(entry)}" for entry in sorted(entries))
        yield WiderGrant(
            table.key,
            f"value:{name}",
            f"may see the variable `{name}` even where its value holds a secret ({scope})",
            (
                "critical risk: named exactly, with a `reason`, for a version in `reviewed`.",
                *_reason(table),
            ),
            Risk.CRITICAL,
            ("crates", table.key, str(Kind.ENV)),
        )


def _scope(item: str | Rule, meant: Collection[_PackageDifference]) -> str:
    """Say for which of a key's packages something is new; empty if for all of them."""
    whose = [each.package for each in meant if item in each.beyond.items]
    others = [each.package for each in meant if item not in each.beyond.items]
    if not others:
        return ""
    if {each.version for each in whose}.isdisjoint(each.version for each in others):
        names = [each.versions for each in whose]
    elif {each.origin for each in whose}.isdisjoint(each.origin for each in others):
        names = [each.origin for each in whose]
    else:
        names = [f"{each.versions} {each.origin}" for each in whose]
    return f" ({_listed(names)})"


def _granted(table: CrateGrants, item: str | Rule, scope: str) -> WiderGrant:
    reason = _reason(table)
    if isinstance(item, str):
        preset = PRESETS[item]
        return WiderGrant(
            table.key,
            f"preset:{item}",
            f"may use the preset `{item}`{scope}",
            (f"{preset.risk.name.lower()} risk: {preset.why}", *reason),
            preset.risk,
            ("crates", table.key, "presets"),
        )
    risk, why = assess_rule(item)
    return WiderGrant(
        table.key,
        str(item),
        f"may {item.kind.traits.may()} `{item.pattern}`{scope}",
        (f"{risk.name.lower()} risk: {why}", *reason),
        risk,
        ("crates", table.key, str(item.kind)),
    )


def _reason(table: CrateGrants) -> tuple[str, ...]:
    return (f"The reason that Cargo.toml gives: {table.reason}",) if table.reason else ()


def _not_denied(was: CrateGrants | None, now: CrateGrants | None) -> Iterator[WiderGrant]:
    if was is None:
        return
    still = now.denials if now else frozenset[Rule]()
    key = now.key if now else was.key
    for rule in sorted(was.denials - still):
        kept = (each.pattern for each in still if each.kind is rule.kind)
        if not any(contains(pattern, rule.pattern) for pattern in kept):
            what = f"is not denied any more to {rule.kind.traits.may()} `{rule.pattern}`"
            yield _plain(key, f"deny {rule}", what, ("crates", key))


def _lasting_longer(was: CrateGrants | None, now: CrateGrants | None) -> Iterator[WiderGrant]:
    """Yield that grants end later than they did, or not at all."""
    if was is None or now is None or was.expires is None or not (now.rules or now.presets):
        return
    if now.expires is None or now.expires > was.expires:
        until = f"until {now.expires}" if now.expires else "without an end"
        what = f"keeps what it is granted {until}; that ended on {was.expires}"
        yield _plain(now.key, "expires", what, ("crates", now.key))


def _plain(key: str, item: str, what: str, place: tuple[str, ...]) -> WiderGrant:
    return WiderGrant(key, item, what, (), None, place)


def _listed(names: Iterable[str]) -> str:
    all_ = list(dict.fromkeys(names))
    more = f" and {len(all_) - _NAMED_MOST} more" if len(all_) > _NAMED_MOST else ""
    return f"{', '.join(all_[:_NAMED_MOST])}{more}"
