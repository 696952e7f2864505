"""What is worse together than alone, over everything that a crate does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from buildperm.policy import risk, tasks
from buildperm.policy.access import Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.presets import PRESETS
from buildperm.policy.proposal import Risk
from buildperm.policy.undecided_accesses import is_settled


def looks_like_theft(everything: Sequence[Access]) -> bool:
    """Tell whether a crate reaches for secrets and for the network, over all its accesses."""
    return theft_of(everything) is not None


def theft_of(everything: Sequence[Access]) -> tuple[Access, Access] | None:
    """Return a secret and a way to the network that a crate reaches for; None unless both."""
    secrets, exits = _secrets_and_exits(everything)
    return (secrets[0], exits[0]) if secrets and exits else None


def _secrets_and_exits(everything: Sequence[Access]) -> tuple[list[Access], list[Access]]:
    secrets = [
        access
        for access in everything
        if access.sensitive
        and access.kind in (Kind.READ, Kind.ENV)
        # A secret that is not there is in nobody's hands; it may be there behind an empty home.
        and (access.outcome is not Outcome.FAILED or access.saw_empty_home)
    ]
    exits = [
        access
        for access in everything
        if (access.kind is Kind.NET and not is_settled(access))
        or (access.kind is Kind.EXEC and _talks_to_network(access))
        or (access.kind is Kind.SYSTEM and access.target.startswith("socket(inet"))
    ]
    # What was looked for in vain, along PATH, is told only where there is nothing else.
    exits.sort(key=lambda access: access.outcome is Outcome.FAILED)
    return secrets, exits


def _talks_to_network(access: Access) -> bool:
    """Tell whether a program can: one like git is known by what it was told to do."""
    preset = PRESETS.get(access.target)
    is_told = preset is not None and access.target in preset.purposes and bool(access.example)
    if preset is not None and is_told and tasks.fits(preset, (access,)):
        return False
    return "network" in risk.assess_access(access)[1]


def combinations(
    everything: Sequence[Access],
) -> Callable[[Sequence[Access]], tuple[Risk, list[str]]]:
    """Find what is worse together than alone, over all accesses of a crate."""
    secrets, exits = _secrets_and_exits(everything)
    involved = {(access.kind, access.target) for access in (*secrets, *exits)}
    written = {access.target for access in everything if access.kind is Kind.WRITE}

    def judge(group: Sequence[Access]) -> tuple[Risk, list[str]]:
        level, reasons = Risk.LOW, []
        if secrets and exits and any((one.kind, one.target) in involved for one in group):
            level = Risk.CRITICAL
            reasons.append(
                f"Together with the rest of what this crate does, it can steal: it reaches for "
                f"`{secrets[0].target}` and for `{exits[0].target}`."
            )
        runs_made = [one for one in group if one.kind is Kind.EXEC and one.target in written]
        if runs_made:
            reasons.append(f"`{runs_made[0].target}`: it was written by the script before it ran.")
            if exits:
                level = Risk.CRITICAL
                reasons.append(f"It may be a download: the script reaches for `{exits[0].target}`.")
        if any(
            one.kind is Kind.DIRECTIVE and one.sensitive and "=LD_" in one.target for one in group
        ):
            level = Risk.CRITICAL
            reasons.append("It would load a library of its choice into rustc and the linker.")
        return level, reasons

    return judge
