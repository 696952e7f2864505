"""Findings about runs and builds that failed, or whose recording has gaps, and the ways on."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence

from buildperm.policy.access import Access, Outcome
from buildperm.policy.proposal import Proposal
from buildperm.policy.widening import EVERYBODY
from buildperm.report.build_failure import BuildFailure, HabitRefusal
from buildperm.report.build_run import LOST, ScriptRun
from buildperm.report.finding import Finding, Level
from buildperm.report.finding_parts import (
    cut_details,
    cut_title,
    evidence_lines,
    fingerprint,
    named,
    plain,
)
from buildperm.report.manifest_place import GrantLines
from buildperm.report.rule_catalogue import BUILD_FAILED, FAILED, INCOMPLETE
from buildperm.report.text import count, table_key
from buildperm.rules import left_behind

_LIMIT = re.compile(r"the limit is `(\w+) = ")
_LEFT = ("it left in its output folder ", "it left beside programs ")


def of_run(script: ScriptRun, places: GrantLines, level: Level) -> Iterator[Finding]:
    """Tell why one run failed, as far as that is known, and what its recording lacks."""
    line = places.of_crate(script.crate, script.version, script.way)
    who = named(script.crate, script.version)
    if script.failure:
        what = " or ".join(subject.noun for subject in script.subjects)
        title = cut_title(f"buildperm failed the {what} of {who}: {script.failure}")
        yield plain(FAILED, level, script, title, tuple(after_failure(script, places.home)), line)
    if script.denied:
        yield _failed_by_denial(script, level, line, places.home)
    if script.habitual:
        yield _failed_with_habits(script, line)  # After what is likelier to be why.
    if script.dropped:
        title = cut_title(
            f"{count(script.dropped, 'event')} did not fit into the recording of {who}"
        )
        told = (
            "It was held to its grants all the same, but the list of what it did has gaps.",
            "Run the build again. If this happens each time, it does far more than building takes.",
        )
        yield plain(INCOMPLETE, Level.WARNING, script, title, told, line)


def of_build(
    failure: BuildFailure, places: GrantLines, known: Container[tuple[str, str]]
) -> Iterator[Finding]:
    """Tell what Cargo could not build; what was not seen for that is told once.

    Of packages that are `known` it is told already what they were refused.
    """
    packages = [
        each
        for each in failure.packages
        if not (each.was_refused and (each.crate, each.version) in known)
    ]
    if not packages and failure.unseen:
        packages = list(failure.packages[:1])
    told = [(each.crate, each.version, str(each), each.why) for each in packages]
    if not failure.packages:
        code = failure.exit_code
        told = [(EVERYBODY, "", f"Cargo ended with exit code {code}", failure.why)]
    for number, (crate, version, title, why) in enumerate(told):
        yield Finding(
            rule=BUILD_FAILED,
            level=Level.ERROR,  # Cargo's exit code is the command's, unless that is a graver one.
            crate=crate,
            version=version,
            title=cut_title(title),
            details=cut_details((why, "" if number else failure.unseen)),
            way=(),
            remedy=(),
            command="",
            line=places.of_crate(crate, version),
            fingerprint=fingerprint(BUILD_FAILED, crate, ()),
        )


def _failed_by_denial(script: ScriptRun, level: Level, line: int, home: str) -> Finding:
    """Tell that a run failed which was denied something: that may be why."""
    title, *ways_on = failed_by_denial(script, script.denied, home)
    told = (*evidence_lines(script.denied), *ways_on)
    return plain(FAILED, level, script, cut_title(title), tuple(told), line)


def failed_by_denial(script: ScriptRun, denied: Sequence[Access], home: str) -> tuple[str, ...]:
    """Say of a run that failed what it is denied, without a full stop; then the ways on.

    `denied` has at least one access; `home` is the path of the grant table, as TOML writes it.
    """
    (first, *more) = denied
    also = f" and {count(len(more), 'more access', 'more accesses')}" if more else ""
    table = f"{home}.crates.{table_key(script.crate)}"
    return (
        f"{script.who} failed, and Cargo.toml denies it {first.kind} {first.target}{also}",
        f"If it needs that: take it out of `deny` in `[{table}]` of Cargo.toml, "
        f"then run `buildperm learn`, which asks about it again.",
        "If it should not have it: do without the crate, or use a version that does without that.",
    )


def _failed_with_habits(script: ScriptRun, line: int) -> Finding:
    """Tell what a failed run was refused that honest programs mostly do without: it may be why."""
    (first, *more) = script.habitual
    also = f" and {count(len(more), 'more access', 'more accesses')}" if more else ""
    if script.failure or script.denied or _is_refused(script.findings):
        title = f"{script.who} was also refused {first.kind} {first.target}{also}"
        told = (
            *evidence_lines(script.habitual),
            "Most programs do without. What else is told of it is likelier to be why it failed.",
        )
        return plain(FAILED, Level.NOTE, script, cut_title(title), told, line)
    title = f"{script.who} failed, and was refused {first.kind} {first.target}{also}"
    told = (
        *evidence_lines(script.habitual),
        "Most programs do without, so nobody is asked about it. If this one does not, that is why "
        f"it failed: `{HabitRefusal(script.crate, f'{first.kind}:{first.target}').question}` says "
        "what can be done.",
    )
    return plain(FAILED, Level.WARNING, script, cut_title(title), told, line)


def _is_refused(proposals: Iterable[Proposal]) -> bool:
    return any(access.outcome is Outcome.REFUSED for each in proposals for access in each.evidence)


def after_failure(script: ScriptRun, home: str) -> Iterator[str]:
    """Say how to go on after buildperm has failed a run: no review could settle that.

    `home` is the path of the grant table, as TOML writes it.
    """
    limits = _LIMIT.findall(script.failure)
    for name in dict.fromkeys(limits):
        table = f"{home}.limits.crates.{table_key(script.crate)}"
        yield f"If it has to, raise `{name}` in `[{table}]` of Cargo.toml."
    if not limits and LOST in script.failure:
        yield "Run the build again. If this happens each time, look at what ends it."
    elif not limits and not script.findings:
        way_on = left_behind.DISTRUST
        if script.failure.startswith(_LEFT) and "; " not in script.failure:  # Nothing besides.
            way_on = left_behind.way_on(script.failure)
        yield f"{way_on[0].upper()}{way_on[1:]}."
