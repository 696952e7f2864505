"""Causes: why what was reviewed of a crate has to be reviewed again, each in a sentence."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date

from buildperm.policy import expiry
from buildperm.policy.access import Access, Outcome
from buildperm.policy.inclusion import contains
from buildperm.policy.kinds import Kind
from buildperm.policy.pending_review import Cause
from buildperm.policy.role import SCRIPT_ALONE, Role, SubjectKind
from buildperm.policy.rule import Rule
from buildperm.policy.sensitivity import why_sensitive
from buildperm.policy.snapshot import Inputs, SeenAccess, Snapshot
from buildperm.policy.undecided_accesses import undecided
from buildperm.printable import printable
from buildperm.rules import address, directive
from buildperm.rules.pattern import is_literal, matches
from buildperm.tracer.notation import encode

Causes = Iterator[tuple[Cause, str]]

_NAMED_MOST = 5  # Sentences of one kind; the rest is counted.
_COMMIT_SHOWN = 9  # Digits, as git shows it.


def from_version(
    before: Snapshot | None, version: str, subjects: Collection[SubjectKind] = (SubjectKind.SCRIPT,)
) -> Causes:
    """Tell whether this version differs from the one that was reviewed last, if any was.

    `subjects` are what the crate has now.
    """
    if before is None:
        what = " and no ".join(subject.noun for subject in subjects)
        yield Cause.NEW, f"no {what} of it was ever reviewed"
    elif before.version != version:
        yield Cause.VERSION, f"was {encode(before.version.encode())}"


def from_inputs(
    before: Snapshot, version: str, source: str, now: Inputs, folder: str, absent: str
) -> Causes:
    """Say which inputs of a build script have changed.

    Args:
        before: How it was reviewed last.
        version: That it has now.
        source: Cargo's source string that it has now; empty for a path.
        now: What it is made from now.
        folder: Of its package, in portable text.
        absent: The hash that stands for a file that is not there.
    """
    known = before.inputs
    found: list[tuple[Cause, str]] = []
    if source != before.source:
        found.append((Cause.SOURCE, _moved(before.source, source)))
    elif version == before.version and now.checksum != known.checksum:
        found.append((Cause.SOURCE, "the same version with another checksum"))
    files = [
        (Cause.SOURCE, text)
        for text in _files(known.files, now.files, folder, absent)
        if source == before.source  # Else there are none now, or there were none.
    ]
    found += _first_few(files, "file that differs", "files that differ")
    direct = [
        (Cause.BUILD_DEPENDENCIES, text)
        for text in _packages(known.build_dependencies, now.build_dependencies)
    ]
    found += _first_few(direct, "build-dependency that differs", "build-dependencies that differ")
    macros = [
        (Cause.BUILD_DEPENDENCIES, text)
        for text in _packages(
            known.macro_dependencies, now.macro_dependencies, "dependency of its macros"
        )
        if text not in {told for _, told in direct}
    ]
    found += _first_few(
        macros, "dependency of its macros that differs", "dependencies of its macros that differ"
    )
    if not found and version == before.version and now.digest != known.digest:
        if now.build_dependencies:
            found.append((Cause.BUILD_DEPENDENCIES, "what its build-dependencies need has changed"))
        elif now.macro_dependencies:
            told = "what the dependencies of its macros need has changed"
            found.append((Cause.BUILD_DEPENDENCIES, told))
        else:
            found.append((Cause.SOURCE, "it is made from something else than it was"))
    yield from found


def from_features(before: Collection[str], now: Collection[str]) -> Causes:
    """Say which of its features were switched on or off since it was reviewed."""
    changed = [f"+ {_name(name)}" for name in sorted(set(now) - set(before))]
    changed += [f"- {_name(name)}" for name in sorted(set(before) - set(now))]
    if changed:
        yield Cause.FEATURES, f"features: {', '.join(changed)}"


def from_context(words: str, *, is_declared: bool) -> Causes:
    """Say that it was never recorded under a command line."""
    which = ", which Cargo.toml declares" if is_declared else ""
    yield Cause.CONTEXT, f"never recorded with `{printable(words)}`{which}"


def from_grants(
    seen: Iterable[SeenAccess],
    rules: Collection[Rule],
    denials: Collection[Rule],
    roles: tuple[Role, ...] = SCRIPT_ALONE,
) -> Causes:
    """Say what it was seen doing that is neither granted nor denied by now.

    What cannot be granted was shown when it was reviewed, and is no news.
    """
    accesses = [replace(_access(each), roles=roles) for each in sorted(seen)]
    left = undecided([each for each in accesses if not _is_locked(each)], rules, denials)
    # A program that was run by its name may be granted by its path, which nobody has kept.
    files = [
        rule.pattern.rpartition("/")[2]
        for rule in (*rules, *denials)
        if rule.kind is Kind.EXEC and "/" in rule.pattern
    ]
    found = [
        (Cause.GRANTS, f"seen {access.kind.traits.gerund} `{access.target}`, which is not granted")
        for access in left
        if not (
            any(matches(name, access.target) for name in files)
            if access.kind is Kind.EXEC
            else _is_partly_of(access, rules, denials)
        )
    ]
    yield from _first_few(found, "access that is not granted", "accesses that are not granted")


def _is_partly_of(access: Access, *rules: Collection[Rule]) -> bool:
    """Tell whether a target that stands for varying names may be what one of the rules names."""
    return not is_literal(access.target) and any(
        rule.kind is access.kind and contains(access.target, rule.pattern)
        for some in rules
        for rule in some
    )


def from_expiry(expires: date, on: date) -> Causes:
    """Say that the grants of a crate have ended, if they have."""
    if expiry.is_over(expires, on):
        yield Cause.GRANTS, expiry.sentence(expires)


def _access(seen: SeenAccess) -> Access:
    return Access(seen.kind, seen.target, seen.outcome, 1, 0, 0, (), sensitive=_sensitive(seen))


def _sensitive(seen: SeenAccess) -> str:
    """Return the reason that folding gave when the access was seen."""
    if seen.kind is Kind.DIRECTIVE:
        return "forbidden" if _is_forbidden(seen.target) else ""
    return why_sensitive(seen.kind, seen.target)


def _is_forbidden(target: str) -> bool:
    key, _, value = target.partition("=")
    try:
        verdict = directive.judge(key, value, granted=(), denied=(), places={})
    except ValueError:
        return True
    return verdict == directive.FORBIDDEN


def _is_locked(access: Access) -> bool:
    """Tell whether no decision could have allowed the access, and none did by hand."""
    if access.kind is Kind.SYSTEM:
        return True
    if access.kind is Kind.NET and address.of_pattern(access.target) is None:
        return True
    return bool(access.sensitive) and access.outcome is not Outcome.DONE


def _moved(before: str, now: str) -> str:
    old, _, old_commit = before.partition("#")
    new, _, new_commit = now.partition("#")
    if old == new and old_commit and new_commit:
        commits = (printable(each)[:_COMMIT_SHOWN] for each in (old_commit, new_commit))
        return f"commit {' -> '.join(commits)}"
    return f"from {printable(now) or 'a folder'}, was from {printable(before) or 'a folder'}"


def _files(
    before: Mapping[str, str], now: Mapping[str, str], folder: str, absent: str
) -> Iterator[str]:
    for path in sorted({*before, *now}):
        old, new = before.get(path, absent), now.get(path, absent)
        if old == new:
            continue
        name = path.removeprefix(f"{folder}/")
        yield f"{name} {'is new' if old == absent else 'is gone' if new == absent else 'changed'}"


def _packages(
    before: Collection[str], now: Collection[str], what: str = "build-dependency"
) -> Iterator[str]:
    """Compare lists of `NAME VERSION`; `what` is what is listed."""
    old, new = _versions(set(before) - set(now)), _versions(set(now) - set(before))
    for name in sorted({*old, *new}):
        if name not in old:
            yield f"{name} {', '.join(new[name])} is a new {what}"
        elif name not in new:
            yield f"{name} {', '.join(old[name])} is no {what} any more"
        else:
            yield f"{name} {', '.join(old[name])} -> {', '.join(new[name])}"


def _versions(packages: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for package in sorted(packages):
        name, _, version = package.partition(" ")
        found.setdefault(_name(name), []).append(_name(version))
    return found


def _first_few(
    found: list[tuple[Cause, str]], singular: str, plural: str
) -> Iterator[tuple[Cause, str]]:
    """Name the first few, and say how many more there are."""
    if len(found) <= _NAMED_MOST + 1:
        yield from found
        return
    yield from found[:_NAMED_MOST]
    left = len(found) - _NAMED_MOST
    yield found[0][0], f"and {left} more {singular if left == 1 else plural}"


def _name(text: str) -> str:
    return encode(text.encode("utf-8", "surrogateescape"))
