"""Which accesses somebody has to decide about, under given grants and denials."""

from __future__ import annotations

from collections.abc import Iterable

from buildperm.policy.access import Access, Outcome
from buildperm.policy.baseline_patterns import (
    ALLOWED,
    HABITS,
    NOT_OWN,
    OF_PROGRAMS,
    SOUGHT_BY_TOOLS,
)
from buildperm.policy.coverage import Coverage, GrantCoverage
from buildperm.policy.kinds import Kind, Syntax
from buildperm.policy.role import SCRIPT_ALONE
from buildperm.policy.rule import Rule
from buildperm.rules import baseline, keyfiles
from buildperm.rules.variables import is_baseline

# A pipe or a socket that the script has open already, such as Cargo's jobserver; for a file the
# kernel would have told its path.
_OWN_DESCRIPTORS = "/proc/self/fd/"


def undecided(
    accesses: Iterable[Access], rules: Iterable[Rule] = (), denials: Iterable[Rule] = ()
) -> list[Access]:
    """Leave out what needs no decision: the baseline, habits, what failed, is granted or denied.

    A denial of a program is one of all that the program alone wanted.
    """
    allowed, refused = GrantCoverage(rules), Coverage(denials)
    return [
        access
        for access in accesses
        if not (is_settled(access) or allowed.covers(access) or refused.covers(access))
        and not is_of_denied(access, refused)
    ]


def is_of_denied(access: Access, refused: Coverage) -> bool:
    """Tell whether only programs that are denied wanted it: denied, they want nothing any more.

    What is sensitive is news whoever reached for it.
    """
    if access.sensitive or access.is_direct:
        return False
    return all(refused.has(Kind.EXEC, cause) for cause in access.causes)


def unopened(
    accesses: Iterable[Access], rules: Iterable[Rule] = (), denials: Iterable[Rule] = ()
) -> list[Access]:
    """Return what was refused though `rules` cover it, in runs that were held to them.

    A grant opens less than its text says where something in it is closed. It does not open what was
    made beside such a place after the script had started. Nor may everything be done in the
    script's own folders: no device is made there, and no file of elsewhere linked or moved there.
    """
    everything = list(accesses)
    allowed, refused = GrantCoverage(rules), Coverage(denials)
    # Who opens a file to read and write it, and may not write it, is refused both.
    wrote = {
        access.target
        for access in everything
        if access.kind is Kind.WRITE and access.outcome is Outcome.REFUSED
    }
    # A script that is refused takes its interpreter with it, whatever is granted of that.
    ran = {
        access.target
        for access in everything
        if access.kind is Kind.EXEC and access.outcome is Outcome.REFUSED
    }
    return [
        access
        for access in everything
        if access.outcome is Outcome.REFUSED
        and access.kind.is_file
        and not (access.kind is Kind.READ and access.target in wrote)
        and not (access.kind is Kind.EXEC and ran.issuperset(access.causes))
        and (_is_own_write(access) or (not is_settled(access) and allowed.covers(access)))
        and not refused.covers(access)
    ]


def is_unlisted(access: Access) -> bool:
    """Tell of what `unopened` returns whether it is a folder that could not be listed.

    Whoever walks it finds nothing, and mostly goes on as if nothing were there.
    """
    return access.kind is Kind.READ and access.is_folder


def of_folders(
    accesses: Iterable[Access], rules: Iterable[Rule] = (), denials: Iterable[Rule] = ()
) -> list[Access]:
    """Return the changes of folders that were refused, as a rule covers no more than the file."""
    refused = unopened(accesses, rules, denials)
    return [access for access in refused if access.is_entry or access.is_folder]


def habitual(accesses: Iterable[Access]) -> list[Access]:
    """Return what was refused and is nobody's decision, as programs mostly do without it."""
    return [
        access
        for access in accesses
        if is_habit(access) and not access.target.startswith(_OWN_DESCRIPTORS)
    ]


def is_habit(access: Access) -> bool:
    """Tell whether something was refused that programs mostly do without."""
    is_refused = access.outcome is Outcome.REFUSED
    return is_refused and is_settled(access) and not _is_own_write(access)


def _is_own_write(access: Access) -> bool:
    """Tell whether a script was to write where every script may."""
    is_script = access.kind is Kind.WRITE and access.roles == SCRIPT_ALONE
    return is_script and not access.sensitive and ALLOWED[Kind.WRITE].covers(access.target)


def denied(accesses: Iterable[Access], denials: Iterable[Rule]) -> list[Access]:
    """Return what was refused because `denials` cover it, or the program that alone wanted it."""
    refused = Coverage(denials)
    return [
        access
        for access in accesses
        if access.outcome is Outcome.REFUSED
        and not is_settled(access)
        and (refused.covers(access) or is_of_denied(access, refused))
    ]


def is_settled(access: Access) -> bool:
    """Tell whether nobody has to decide about the access, whatever is granted."""
    if access.sensitive:
        if access.kind is Kind.READ and access.target in baseline.PASSED_BY:
            return True
        if access.kind is Kind.EXEC and access.outcome is Outcome.FAILED:
            return True  # Looked for along PATH, which may lead through anybody's folders.
        if access.sensitive == keyfiles.CARGO_SETTINGS and access.outcome is Outcome.FAILED:
            return True  # Cargo, and whoever asks it, looks for them in every folder above.
        if _is_sought_by_tool(access):
            return True
        # A probe of the sensitive tier is news even if nothing was there.
        return access.kind is Kind.WRITE and _is_quiet(access)
    is_refused = access.outcome is Outcome.REFUSED
    if access.outcome is Outcome.FAILED:
        return not access.is_foreseen
    if access.is_free and not is_refused:
        return True  # Who denies what is free otherwise is told of it.
    match access.kind.traits.syntax:
        case Syntax.PATH if access.kind is Kind.WRITE:
            # Nobody but a build script may write to an OUT_DIR.
            is_own = not is_refused or access.roles == SCRIPT_ALONE
            return (is_own and ALLOWED[access.kind].covers(access.target)) or _is_quiet(access)
        case Syntax.PATH:
            is_own = access.kind is not Kind.READ or not NOT_OWN.covers(access.target)
            # A link that is left leads others there: that is no habit.
            return (is_own and _is_baseline(access)) or (_is_quiet(access) and not access.is_whole)
        case Syntax.PROGRAM:
            return _is_baseline(access)
        case Syntax.VARIABLE:
            return not is_refused and is_baseline(access.target)
        case Syntax.DIRECTIVE:
            return not is_refused
        case Syntax.ADDRESS | Syntax.CALL:
            return _is_quiet(access)


def _is_sought_by_tool(access: Access) -> bool:
    """Tell whether only programs looked, and in vain, for settings that they look for anywhere."""
    is_vain = access.kind is Kind.READ and access.outcome is Outcome.FAILED
    return is_vain and not access.is_direct and SOUGHT_BY_TOOLS.covers(access.target)


def _is_baseline(access: Access) -> bool:
    """Tell whether everybody may do it, and could.

    What was refused lies behind a link, or in a folder of the system that is somebody's.
    """
    is_refused = access.outcome is Outcome.REFUSED
    return not is_refused and ALLOWED[access.kind].covers(access.target)


def _is_quiet(access: Access) -> bool:
    if access.target.startswith(_OWN_DESCRIPTORS):
        return True
    if access.kind is Kind.WRITE and access.outcome is Outcome.DONE:
        return False
    if access.kind is Kind.READ and access.is_direct and OF_PROGRAMS.covers(access.target):
        return False
    return HABITS[access.kind].covers(access.target)
