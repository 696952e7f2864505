"""What a person has allowed for one more run of one script, beside its grants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildperm.policy.compilation import EffectiveGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from buildperm.supervisor.session import SessionPackage


def extended(package: SessionPackage, rules: Collection[Rule]) -> SessionPackage:
    """Return a package that may do what `rules` say, too; what it is denied stays denied."""
    if not rules:
        return package
    lists = EffectiveGrants(frozenset(rules)).lists()
    found = package.copy()
    found["read"] = sorted({*package["read"], *lists["read"]})
    found["write"] = sorted({*package["write"], *lists["write"]})
    found["exec"] = sorted({*package["exec"], *lists["exec"]})
    found["net"] = sorted({*package["net"], *lists["net"]})
    found["env"] = sorted({*package["env"], *lists["env"]})
    found["directives"] = sorted({*package["directives"], *lists["directives"]})
    # What it then does was not recorded under its grants.
    found["digest"] = f"{package.get('digest', '')} once"
    return found


def written(rules: Iterable[Rule]) -> list[str]:
    """Write rules for a session, and for a command line."""
    return sorted(f"{each.kind} {each.pattern}" for each in rules)


def parsed(texts: Iterable[str]) -> frozenset[Rule]:
    """Read what `written` has written.

    Raises:
        ValueError: It is of no kind that there is.
    """
    pairs = (each.partition(" ") for each in texts)
    return frozenset(Rule(Kind(kind), pattern) for kind, _, pattern in pairs)
