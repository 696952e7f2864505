"""How a crate differs from its last review, one fact a line; knows no terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from buildperm.policy.access import Outcome
from buildperm.presentation.unified_diff import compare_files
from buildperm.presentation.wording import plural, verb
from buildperm.printable import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from buildperm.policy.comparison import Comparison
    from buildperm.policy.snapshot import SeenAccess

ARROW: Final = "->"

_STEP: Final = ">"
_ENCODED_STEP: Final = f"%{ord(_STEP):02X}"
_MOST_SEEN: Final = 500


def versions(comparison: Comparison) -> str:
    """Name the versions that are compared, or only the new one if there is no other."""
    now = shown(comparison.version)
    if not comparison.before or comparison.before == comparison.version:
        return now
    return f"{shown(comparison.before)} {ARROW} {now}"


def is_new(comparison: Comparison) -> bool:
    """Tell whether no version of it was ever reviewed."""
    return not comparison.before


def what_text(comparison: Comparison) -> str:
    """Say what of the crate ran: `build script`, `build script and procedural macro`."""
    return " and ".join(subject.run for subject in comparison.subjects)


def way_text(comparison: Comparison) -> str:
    """Say how the crate got into the graph: `app > tls > openssl-sys`."""
    names = (name.replace(_STEP, _ENCODED_STEP) for name in comparison.way)
    return shown(f" {_STEP} ".join(names))


def balance(comparison: Comparison) -> tuple[tuple[str, str, int], ...]:
    """Return mark, word and number of the accesses that are new, gone and the same."""
    return (
        ("+", "new", len(comparison.new)),
        ("-", "gone", len(comparison.gone)),
        ("", "same", len(comparison.same)),
    )


def balance_text(comparison: Comparison) -> str:
    """Say how many accesses are new, gone and the same."""
    return ", ".join(f"{mark} {count} {word}".lstrip() for mark, word, count in balance(comparison))


def seen_text(seen: SeenAccess) -> str:
    """Say what was seen, in plain words."""
    how = {Outcome.DONE: "", Outcome.FAILED: "  (failed)", Outcome.REFUSED: "  (refused)"}
    return f"{verb(seen.kind)} {shown(seen.target)}{how[seen.outcome]}"


def behaviour(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """Yield a mark and what was seen: new accesses, then gone ones, then the same."""
    for mark, seen in (("+", comparison.new), ("-", comparison.gone), (" ", comparison.same)):
        yield from ((mark, seen_text(each)) for each in seen[:_MOST_SEEN])
        if len(seen) > _MOST_SEEN:
            yield mark, f"… and {len(seen) - _MOST_SEEN:,} more"


def facts(comparison: Comparison) -> Iterator[str]:
    """Yield what a person needs to know before the first question about a crate."""
    crate = shown(comparison.crate)
    if is_new(comparison):
        yield f"New {what_text(comparison)}: {crate} {versions(comparison)}"
    else:
        yield f"Changed: {crate} {versions(comparison)}"
    if comparison.way:
        yield f"Way into the graph: {way_text(comparison)}"
    for cause in comparison.causes:
        yield f"Cause: {shown(cause)}"
    yield f"Beyond the baseline: {balance_text(comparison)}"
    for mark, text in behaviour(comparison):
        if mark != " ":
            yield f"    {mark} {text}"
    yield sources_text(comparison)


def sources_text(comparison: Comparison) -> str:
    """Say in one line what is known about the sources."""
    if comparison.without_sources:
        return f"Sources: not compared: {shown(comparison.without_sources)}"
    if not comparison.sources:
        return f"Sources: {'none was found' if is_new(comparison) else 'the same'}"
    if is_new(comparison):
        return f"Sources: {plural(len(comparison.sources), 'file')}"
    return f"Sources: {plural(len(comparison.sources), 'file')} changed"


def source_lines(comparison: Comparison) -> Iterator[str]:
    """Yield the unified diffs of the sources as plain text."""
    if not comparison.sources:
        yield sources_text(comparison)
        return
    for file in compare_files(comparison.sources):
        state = "" if file.state == "changed" else f", {file.state}"
        yield f"File: {file.name}{state}, +{file.hunks.added} -{file.hunks.removed}"
        yield from (f"    {line}" for line in file.hunks.lines)
        yield from (f"    ({note})" for note in file.hunks.notes)


def new_in(comparison: Comparison, targets: Iterable[tuple[str, str]]) -> int:
    """Return how many of these accesses, by kind and target, were not seen before."""
    new = {(seen.kind.value, seen.target) for seen in comparison.new}
    return len(new.intersection(targets))
