"""Distrust: all that a crate wants is denied at once, and a person is told what comes of it."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from buildperm.policy.grants import parse_key
from buildperm.presentation.wording import plural
from buildperm.printable import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buildperm.policy.proposal import Proposal
    from buildperm.presentation.agenda import Agenda


def consequences(crate: str, *, is_local: bool = False) -> list[str]:
    """Say what happens to a crate that is denied all it wants, and what to do about it.

    Args:
        crate: Its key in the grant table.
        is_local: Whether it lies in a folder: a member of the workspace, or a path dependency.
    """
    name = quote(shown(package_name(crate)))
    if is_local:
        return [
            "Where it cannot do without one of these, its build fails.",
            "Look at what its build script does, or take it out of the workspace.",
        ]
    return [
        "Where it cannot do without one of these, its build fails.",
        f"Do not build it elsewhere: remove it (`cargo remove {name}`, or whatever brings it in: "
        f"`cargo tree --invert {name}`), or pin a version that you trust "
        f"(`cargo update {name} --precise VERSION`).",
    ]


def package_name(crate: str) -> str:
    """Return the name of the package that a key of the grant table means."""
    try:
        return parse_key(crate).name
    except ValueError:
        return crate


def rows(agenda: Agenda, crate: str) -> Sequence[Proposal]:
    """Return what would be denied: all that is about a crate, the worst first."""
    return sorted(agenda.wanted_by(crate), key=lambda each: -each.risk)


def told(crate: str, count: int) -> str:
    """Say what was done."""
    return f"Denied all {plural(count, 'thing')} that {shown(crate)} wants."
