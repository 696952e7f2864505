"""A hypothetical change of one crate's grants: what to take away, replace and deny."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from buildperm.errors import BuildpermError
from buildperm.policy import presets, validation
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import GRANTABLE, WORDS
from buildperm.policy.presets import PRESETS
from buildperm.policy.rule import Rule
from buildperm.rules.pattern import is_literal, matches

_ALL = "all"
_PRESET = "preset"
_KINDS = {word: kind for word, kind in WORDS.items() if kind in GRANTABLE}
_WORD = re.compile(rf"({'|'.join(_KINDS)}|{_PRESET}):(.+)", re.DOTALL)
_BETWEEN = re.compile(rf"=(?=(?:{'|'.join(_KINDS)}|{_PRESET}):)")
_WAYS = "Write `exec:perl`, `preset:cc`, `read:$WORKSPACE/x/**`, or `all`."
_MOST_NAMED = 12
_MOST_WITHOUT = 3


@dataclass(frozen=True, slots=True)
class PresetItem:
    """A preset that is granted."""

    name: str

    def __str__(self) -> str:
        return f"{_PRESET}:{self.name}"


GrantItem = Rule | PresetItem
"""What can be granted on its own."""


@dataclass(frozen=True, slots=True)
class GrantChange:
    """What one command line would change."""

    removed: tuple[GrantItem, ...] = ()
    replaced: tuple[tuple[GrantItem, GrantItem], ...] = ()  # Old and new.
    denied: tuple[Rule, ...] = ()

    def applied_to(self, grants: CrateGrants) -> CrateGrants:
        """Return what `grants` would be."""
        gone = {*self.removed, *(old for old, _ in self.replaced)}
        items = [item for item in granted_items(grants) if item not in gone]
        items += [new for _, new in self.replaced]
        return replace(
            grants,
            presets=frozenset(item.name for item in items if isinstance(item, PresetItem)),
            rules=frozenset(item for item in items if isinstance(item, Rule)),
            denials=grants.denials | set(self.denied),
        )

    def __str__(self) -> str:
        return ", ".join(
            [
                *_without(self.removed),
                *(f"with `{new}` for `{old}`" for old, new in self.replaced),
                *(f"with `{rule}` denied" for rule in self.denied),
            ]
        )


def _without(removed: Sequence[GrantItem]) -> Iterator[str]:
    if len(removed) > _MOST_WITHOUT:
        yield f"without {len(removed)} of its grants"
    else:
        yield from (f"without `{item}`" for item in removed)


def granted_items(grants: CrateGrants) -> list[GrantItem]:
    """Return everything that `grants` grant, presets first."""
    return [*(PresetItem(name) for name in sorted(grants.presets)), *sorted(grants.rules)]


def parse(
    grants: CrateGrants, remove: Iterable[str], replaced: Iterable[str], deny: Iterable[str]
) -> GrantChange:
    """Parse the options that say what to change about `grants`.

    Args:
        grants: What one key of the grant table says.
        remove: Things that are granted, or `all`.
        replaced: Pairs `OLD=NEW`.
        deny: Rules.

    Raises:
        BuildpermError: There are none, or one is no rule, is not granted, or is not allowed in
            Cargo.toml.
    """
    granted = {str(item): item for item in granted_items(grants)}
    change = GrantChange(
        tuple(dict.fromkeys(item for word in remove for item in _found(word, grants, granted))),
        tuple(dict.fromkeys(pair for word in replaced for pair in _pairs(word, grants, granted))),
        tuple(dict.fromkeys(_denial(word) for word in deny)),
    )
    if change == GrantChange():
        raise BuildpermError(
            "nothing is to be changed",
            hint="Say what: `--remove RULE`, `--replace OLD=NEW` or `--deny RULE`.",
        )
    return change


def _found(word: str, grants: CrateGrants, granted: Mapping[str, GrantItem]) -> list[GrantItem]:
    """Return what is granted under `word`."""
    if not granted:
        raise BuildpermError(
            f"`{grants.key}` is granted nothing, so nothing can be taken away",
            hint="Ask with `--deny RULE` what a denial would refuse.",
        )
    if word == _ALL:
        return list(granted.values())
    known = granted.get(_spelled(word))
    if known is not None:
        return [known]
    raise BuildpermError(
        f"`{grants.key}` is not granted `{word}`", hint=_way_out(word, granted, grants)
    )


def _way_out(word: str, granted: Mapping[str, GrantItem], grants: CrateGrants) -> str:
    """Say what is granted, with what was probably meant first."""
    parts = list(_related(_spelled(word), grants))
    if not parts:
        alike = [each for each in granted if each.partition(":")[2] == word]
        alike = alike or get_close_matches(_spelled(word), granted, 3)
        if alike:
            parts.append(f"Did you mean {' or '.join(f'`{each}`' for each in alike)}?")
        elif not _WORD.fullmatch(word):
            parts.append(_WAYS)
    named = [f"`{each}`" for each in granted]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return " ".join((*parts, f"Granted: {', '.join(named[:_MOST_NAMED])}{more}."))


def _related(word: str, grants: CrateGrants) -> Iterator[str]:
    """Say which wider grants include what was meant."""
    kind, _, pattern = word.partition(":")
    if kind not in _KINDS or not is_literal(pattern):
        return
    for rule in sorted(grants.rules):
        if rule.kind is _KINDS[kind] and matches(rule.pattern, pattern):
            yield f"It is granted as a part of `{rule}`."
    for name in sorted(grants.presets):
        for rule in PRESETS[name].rules:
            if rule.kind is _KINDS[kind] and matches(rule.pattern, pattern):
                yield f"It is granted as a part of `{_PRESET}:{name}`."
                break


def _pairs(
    word: str, grants: CrateGrants, granted: Mapping[str, GrantItem]
) -> Iterator[tuple[GrantItem, GrantItem]]:
    """Split `OLD=NEW` where both sides make sense: a directive has an `=` of its own."""
    cuts = [(word[: found.start()], word[found.end() :]) for found in _BETWEEN.finditer(word)]
    if not cuts:
        raise BuildpermError(
            f"`{word}` does not say what replaces what",
            hint="Write `OLD=NEW`, such as "
            "`--replace 'read:$WORKSPACE/**=read:$WORKSPACE/schema/**'`.",
        )
    known = [cut for cut in cuts if cut[0] == _ALL or _spelled(cut[0]) in granted]
    old, new = (known or cuts)[0]
    found = _found(old, grants, granted)
    item = _grantable(new, grants)
    yield from ((each, item) for each in found)


def _grantable(word: str, grants: CrateGrants) -> GrantItem:
    item = _item(word)
    if isinstance(item, PresetItem):
        if item.name not in presets.NAMES:
            alike = get_close_matches(item.name, presets.NAMES, 1)
            raise BuildpermError(
                f"there is no preset `{item.name}`",
                hint=f"Did you mean `{alike[0]}`?"
                if alike
                else f"There are {', '.join(presets.NAMES)}.",
            )
        return item
    _check(item, validation.to_grant(item, reason=grants.reason), "granted")
    return item


def _denial(word: str) -> Rule:
    item = _item(word)
    if isinstance(item, PresetItem):
        raise BuildpermError(
            f"a preset cannot be denied: `{word}`",
            hint=f"Take it away with `--remove {word}`, or deny what it allows by rules.",
        )
    _check(item, validation.to_denial(item), "denied")
    return item


def _item(word: str) -> GrantItem:
    found = _WORD.fullmatch(word)
    if not found:
        raise BuildpermError(f"`{word}` is no rule", hint=_WAYS.replace(", or `all`", ""))
    kind, pattern = found.groups()
    return PresetItem(pattern) if kind == _PRESET else Rule(_KINDS[kind], pattern)


def _check(rule: Rule, found: validation.Violation | None, what: str) -> None:
    if found is not None:
        raise BuildpermError(f"`{rule}` cannot be {what}: {found.what}", hint=found.hint)


def _spelled(word: str) -> str:
    """Write the kind in its usual spelling."""
    kind, colon, rest = word.partition(":")
    return f"{_KINDS.get(kind, kind)}{colon}{rest}"
