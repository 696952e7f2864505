"""What an edit of Cargo.toml means, in plain words; knows no terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from buildperm.policy import manifest, merging, portability, revision
from buildperm.policy.grants import CrateGrants
from buildperm.policy.presets import PRESETS, expand
from buildperm.presentation.wording import plural, verb
from buildperm.printable import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from buildperm.policy.kinds import Kind
    from buildperm.policy.rule import Rule


@dataclass(frozen=True, slots=True)
class EditSentence:
    """What one field of a crate's table means once it is written, in plain words."""

    crate: str  # The key in Cargo.toml.
    field: str  # As in Cargo.toml: `exec`, `deny`.
    text: str  # Behind `+` or `-`; printable.


def explain(before: bytes, after: bytes) -> list[EditSentence]:
    """Say what changes between two versions of a Cargo.toml.

    Raises:
        BuildpermError: One of them cannot be read.
    """
    path = Path("Cargo.toml")
    old, new = manifest.read(before, path).crates, manifest.read(after, path).crates
    return [
        EditSentence(crate, field, sentence)
        for crate in sorted(old.keys() | new.keys())
        for field, sentence in _changes(
            shown(crate), old.get(crate, CrateGrants(crate)), new.get(crate, CrateGrants(crate))
        )
    ]


def _changes(crate: str, old: CrateGrants, new: CrateGrants) -> Iterator[tuple[str, str]]:
    """Yield each field that changes with a sentence about it."""
    for preset in sorted(new.presets - old.presets):
        yield "presets", f"+ {crate} may {PRESETS[preset].title} (preset {preset})"
    yield from _rules("+", f"{crate} may", new.rules - old.rules)
    for _, sentence in _rules(
        "+", f"{crate} must not", new.denials - old.denials, portability.why_denied_here
    ):
        yield "deny", sentence
    for preset in sorted(old.presets - new.presets):
        yield "presets", f"- {crate} may no longer {PRESETS[preset].title} (preset {preset})"
    gone = old.rules - new.rules
    held = new.rules | expand(new.presets)
    covered = {rule for rule in gone if any(merging.within(rule, wider) for wider in held)}
    yield from _rules("-", f"{crate} may no longer", gone - covered)
    for field, sentence in _rules("-", f"{crate} still may", covered):
        yield field, f"{sentence}: a wider rule says so"
    for _, sentence in _rules("-", f"{crate} is no longer denied to", old.denials - new.denials):
        yield "deny", sentence
    for consumer in sorted(new.consumers - old.consumers):
        yield "for", f"+ {crate} may do so where its macros are used in {shown(consumer)}, too"
    for consumer in sorted(old.consumers - new.consumers):
        where = f"where its macros are used in {shown(consumer)}"
        yield "for", f"- {crate} may no longer do so {where}"
    if new.reason != old.reason:
        yield "reason", f"+ {crate}: the reason is now: {shown(new.reason) or '(none)'}"
    if new.expires is not None and new.expires != old.expires:
        yield "expires", f"+ {crate} is granted all of it until {new.expires}, that day included"
    if new.expires is None and old.expires is not None:
        yield "expires", f"- {crate}: what it is granted no longer ends on {old.expires}"
    denied = len(new.denials - old.denials)
    told = f"is reviewed, {plural(denied, 'denial')}" if denied else "counts as reviewed"
    for version in sorted(new.reviewed - old.reviewed):
        yield "reviewed", f"+ {crate} {revision.in_words(version)} {told}"
    for version in sorted(old.reviewed - new.reviewed):
        yield "reviewed", f"- {crate} {revision.in_words(version)} no longer counts as reviewed"


def _rules(
    mark: str,
    who: str,
    rules: Iterable[Rule],
    why_here: Callable[[Rule], str] = portability.why_local,
) -> Iterator[tuple[str, str]]:
    kinds: dict[Kind, list[str]] = {}
    for rule in sorted(rules):
        # What holds here alone is as empty a promise for a denial as for a grant.
        here = portability.SHORT if mark == "+" and why_here(rule) else ""
        named = f"{shown(rule.pattern)} ({here})" if here else shown(rule.pattern)
        kinds.setdefault(rule.kind, []).append(named)
    for kind, patterns in kinds.items():
        yield str(kind), f"{mark} {who} {verb(kind)} {', '.join(patterns)}"
