"""Questions about tool chains: one for each preset whose tools were run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from buildperm.policy import bundles, choices, ladder, presets, risk, summaries, tasks
from buildperm.policy.access import Access
from buildperm.policy.choices import Choices
from buildperm.policy.coverage import Coverage
from buildperm.policy.kinds import Kind
from buildperm.policy.presets import Preset
from buildperm.policy.proposal import Choice, Risk
from buildperm.policy.proposal_builder import ProposalBuilder
from buildperm.rules.pattern import matches

_SYSTEM_FOLDERS = ("/usr/", "/bin/", "/sbin/", "/nix/store/", "/gnu/store/", "/home/linuxbrew/")


def ask(builder: ProposalBuilder, accesses: Sequence[Access]) -> list[Access]:
    """Ask about each tool chain that was run; return what no preset covers."""
    left = list(accesses)
    narrow_first = sorted(presets.PRESETS.values(), key=lambda preset: len(preset.rules))
    groups = {each.name: frozenset(map(id, _covered(builder, each, left))) for each in narrow_first}
    sufficient = [
        each
        for each in narrow_first
        if groups[each.name] and not any(groups[each.name] < other for other in groups.values())
    ]
    for preset in (*sufficient, *narrow_first):
        group = _covered(builder, preset, left)
        if not group:
            continue
        known = {id(access) for access in group}
        taken = known.union(*(groups[each.name] for each in sufficient if each is not preset))
        helpers = _helpers(preset, [access for access in left if id(access) not in taken])
        known.update(map(id, helpers))
        left = [access for access in left if id(access) not in known]
        _add(builder, preset, group, helpers)
    return left


def _covered(builder: ProposalBuilder, preset: Preset, accesses: Sequence[Access]) -> list[Access]:
    """Return what a preset covers, if its tools were run, and for its purpose; else nothing."""
    allowed = Coverage(preset.rules)
    group = [access for access in accesses if allowed.covers(access)]
    causes = [each for each in builder.programs if _is_one_of(preset.causes, each.target)]
    told = (*causes, *group)
    is_meant = tasks.is_marked(preset, told) or any(
        _is_anchor(preset, each)
        or (each.kind is Kind.EXEC and tasks.is_told(preset, each))
        or (not preset.marks and _is_caused(preset, each))
        for each in group
    )
    if not (is_meant and tasks.fits(preset, told)):
        return []
    return group if all(_is_of(preset, each) for each in group) else []


def _add(
    builder: ProposalBuilder, preset: Preset, group: Sequence[Access], helpers: Sequence[Access]
) -> None:
    notes = [f"Preset {preset.name}: {preset.why}."]
    level = preset.risk
    for access in group:
        if access.kind is Kind.EXEC and risk.reaches_out(access.example):
            level = Risk.HIGH
            notes.append(risk.assess_access(access)[1])
    notes += [
        f"`{access.target}` is not installed here; where it is, the script runs it."
        for access in group
        if access.is_foreseen
    ]
    along = choices.exactly(Kind.EXEC, helpers).rules
    if helpers:
        worst, told = summaries.risk_notes(helpers)
        level, notes = max(level, worst), [*notes, *told]
    started = f" and {ladder.listing([rule.pattern for rule in along])}" if along else ""
    choice = Choice(
        f"preset {preset.name}{started}",
        along,
        preset.name,
        f"Allows {preset.covers}. Leaves out {preset.leaves_out}.",
    )
    builder.propose(
        builder.id_of(preset.name, []),
        preset.title,
        Choices((choice,)),
        (level, notes),
        (*group, *helpers),
    )


def _helpers(preset: Preset, accesses: Iterable[Access]) -> list[Access]:
    """Return the programs beyond a preset that only its tools run, and that belong to them."""
    return [
        access
        for access in accesses
        if access.kind is Kind.EXEC
        and not access.is_direct
        and all(_is_one_of((*preset.anchors, *preset.causes), cause) for cause in access.causes)
        and bundles.belongs(access)
    ]


def _is_of(preset: Preset, access: Access) -> bool:
    """Tell whether an access that a preset covers is for what the preset is for.

    A shell is for the tools of the preset, not for the script itself.
    """
    if access.kind is not Kind.EXEC:
        return True
    if preset.is_systems and _is_anchor(preset, access):
        file = access.resolved or access.target
        if "/" in file and not file.startswith(_SYSTEM_FOLDERS):
            return False
    if not access.is_direct:
        return True
    if access.target in preset.shells:
        return tasks.is_told(preset, access)
    if _is_anchor(preset, access):
        return not tasks.hands_code(preset, access)
    return risk.assess_program(access.target)[0] < Risk.HIGH


def _is_anchor(preset: Preset, access: Access) -> bool:
    return access.kind is Kind.EXEC and _is_one_of(preset.anchors, access.target)


def _is_caused(preset: Preset, access: Access) -> bool:
    return any(_is_one_of(preset.causes, cause) for cause in access.causes)


def _is_one_of(patterns: Iterable[str], program: str) -> bool:
    return any(matches(pattern, program) for pattern in patterns)
