"""Implied grants: which wider grant allows an access."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from buildperm.policy import choices
from buildperm.policy.access import Access
from buildperm.policy.coverage import Coverage
from buildperm.policy.presets import PRESETS, expand
from buildperm.policy.proposal import Choice
from buildperm.policy.rule import Rule
from buildperm.rules.pattern import is_literal


class ImpliedGrants:
    """Finds the grant that is wider than an access; presets are expanded."""

    def __init__(self, in_force: Iterable[Rule], names: Collection[str]) -> None:
        everything = frozenset(in_force)
        narrow_first = sorted(names, key=lambda name: (len(PRESETS[name].rules), name))
        self._presets = [
            (name, Coverage(everything.intersection(PRESETS[name].rules))) for name in narrow_first
        ]
        self._own = everything - expand(frozenset(names))
        self._exact = Coverage(rule for rule in self._own if is_literal(rule.pattern))
        wide = [rule for rule in self._own if not is_literal(rule.pattern)]
        self._wide = [
            (rule, Coverage([rule]))
            for rule in sorted(wide, key=lambda rule: (-len(rule.pattern), rule))
        ]

    def of(self, access: Access) -> Choice | None:
        """Return the grant that allows more than the access; None where one allows just that."""
        if self._exact.covers(access):
            return None
        # The narrowest rule that a review would have granted may hold wildcards for what changes
        # with every build.
        if self._own.issuperset(choices.exactly(access.kind, [access]).rules):
            return None
        for rule, coverage in self._wide:
            if coverage.covers(access):
                return Choice(
                    f"everything that `{rule.kind} {rule.pattern}` covers",
                    (rule,),
                    widening="It is granted already, and allows more than what was seen.",
                )
        for name, coverage in self._presets:
            if coverage.covers(access):
                return preset_choice(name)
        return None


def preset_choice(name: str) -> Choice:
    """Return the choice that grants a preset."""
    preset = PRESETS[name]
    about = f"Allows {preset.covers}. Leaves out {preset.leaves_out}."
    return Choice(f"preset {name}", (), name, about)
