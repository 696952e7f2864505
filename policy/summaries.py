"""Summaries: what a group of accesses is called, and why it deserves a thought."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from buildperm.policy import ladder, risk, tasks
from buildperm.policy.access import Access
from buildperm.policy.bundles import Bundle
from buildperm.policy.kinds import Kind, Syntax
from buildperm.policy.proposal import Risk

NOTES_MOST = 6
"""Sentences about one group of accesses; more are counted."""

FOLDERS_MOST = 3
"""Folders that a title names where all that they have in common is a root."""

LOOK = "look at"
"""The verb for what is read where nobody has opened it."""

_SET = "rustc-env="


def title(kind: Kind, group: Sequence[Access]) -> str:
    """Say in plain words what accesses of one kind do."""
    names = [access.target for access in group]
    traits = kind.traits
    match traits.syntax:
        case Syntax.PATH:
            is_look = kind is Kind.READ and all(access.is_look for access in group)
            return _of_files(LOOK if is_look else traits.verb, names)
        case Syntax.VARIABLE:
            return (
                f"see the environment variable{'s' * (len(names) > 1)} {_listing(names, 'names')}"
            )
        case Syntax.ADDRESS if all(access.example == "bound" for access in group):
            return f"listen on {_listing(names, traits.plural)}"
        case Syntax.DIRECTIVE if all(name.startswith(_SET) for name in names):
            variables = [name.removeprefix(_SET).partition("=")[0] for name in names]
            return f"set {_listing(variables, 'variables')} for rustc (build script directive)"
        case Syntax.PROGRAM:
            doings = [doing for access in group for doing in _doings(access)]
            return f"{traits.verb} {_listing(doings, traits.plural)}"
        case _:
            return f"{traits.verb} {_listing(names, traits.plural)}"


def of_bundle(bundle: Bundle) -> str:
    """Say which program is run, and what comes with it."""
    more = len(bundle.helpers)
    with_ = f" and {more} program{'s' * (more > 1)} that it starts" if more else ""
    return f"run {_listing(_doings(bundle.program), 'tasks')}{with_}"


def _doings(program: Access) -> list[str]:
    """Name a program, or the tasks that it was given if it does many things."""
    return list(tasks.told(program)) or [program.target]


def _of_files(verb: str, names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{verb} {names[0]}"
    common = _common(names)
    if common.startswith("$") and "/" not in common:
        listed = ladder.above(names)
        files = (name for name in names if name not in listed)
        folders = ladder.outermost(ladder.parent(name) or name for name in files)
        common = common if len(folders) > FOLDERS_MOST else ", ".join(sorted(folders))
    where = f"below {common}" if common else "in several places"
    return f"{verb} {len(names)} files {where}"


def risk_notes(group: Iterable[Access]) -> tuple[Risk, list[str]]:
    """Return the worst risk among accesses, and a sentence for each reason, the worst first.

    Where a reason is that of several, the first is named and the others are counted.
    """
    judged = [(*risk.assess_access(access), access.target) for access in group]
    judged.sort(key=lambda each: -each[0])
    alike: dict[str, dict[str, None]] = {}
    for _, text, target in judged:
        alike.setdefault(text.removeprefix(f"`{target}`"), {})[target] = None
    told = [_likewise(list(targets), why) for why, targets in alike.items()]
    if len(told) > NOTES_MOST:
        hidden = len(told) - NOTES_MOST + 1
        told = [*told[: NOTES_MOST - 1], f"And {hidden} more reasons."]
    return judged[0][0], told


def _likewise(targets: Sequence[str], why: str) -> str:
    more = len(targets) - 1
    others = f" (and {more} other{'s' * (more > 1)} likewise)" if more else ""
    return f"`{targets[0]}`{others}{why}"


def unstable(group: Iterable[Access]) -> tuple[str, ...]:
    """Return a sentence about what repeated runs did not agree on; none if they did."""
    names: dict[str, list[str]] = {}
    for access in group:
        if access.unstable:
            names.setdefault(access.unstable, []).append(f"`{access.target}`")
    if not names:
        return ()
    parts = (f"{how} only: {_listing(found, 'accesses')}" for how, found in sorted(names.items()))
    return (f"Seen {'; '.join(parts)}.",)


def _listing(names: Sequence[str], what: str) -> str:
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more {what}"
    return ", ".join(names)


def _common(targets: Sequence[str]) -> str:
    """Return the deepest folder that all targets lie in; empty if there is none but the root."""
    first, last = (target.split("/") for target in (min(targets), max(targets)))
    depth = 0
    while (
        depth < min(len(first), len(last)) and first[depth : depth + 1] == last[depth : depth + 1]
    ):
        depth += 1
    return "/".join(first[:depth])
