"""Makes findings from a run, from what was not reviewed, and from unused grants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import reduce

from buildperm.policy import pasted_grant
from buildperm.policy.pending_review import Cause, Pending
from buildperm.policy.proposal import Reason
from buildperm.policy.role import Role
from buildperm.report import failed_runs, refusal_findings, useless_grants
from buildperm.report.build_run import BuildRun
from buildperm.report.finding import Finding, Level
from buildperm.report.finding_parts import cut_details, cut_title, digest, fingerprint, named
from buildperm.report.manifest_place import GrantLines
from buildperm.report.next_command import REVIEW, prune
from buildperm.report.rule_catalogue import FAILED, NOT_REVIEWED, TOO_YOUNG, UNUSED_GRANT


def from_build(run: BuildRun, places: GrantLines, *, level: Level = Level.ERROR) -> list[Finding]:
    """Tell what was done beyond the grants, and where a run or recording is not whole.

    Args:
        run: What was built.
        places: Lines of the Cargo.toml that holds the grants.
        level: Of what was refused or failed; a warning where that shall not fail the command.
    """
    found: list[Finding] = []
    settling: dict[str, tuple[str, ...]] = {}
    for key, offered in refusal_findings.offers(run.scripts).items():
        # What nobody can write takes nothing else with it.
        possible = [each for each in offered if places.pasted(key, each)]
        if possible:
            settling[key] = places.pasted(key, reduce(pasted_grant.together, possible))
    for script in run.scripts:
        asked = (one for one in script.findings if one.reason is Reason.ASKED)
        found += (
            replace(
                refusal_findings.of_proposal(script, proposal, places, level),
                settling=settling.get(script.crate, ()),
            )
            for proposal in asked
        )
        found += failed_runs.of_run(script, places, level)
        found += (useless_grants.leading_out(script, one, places) for one in script.left_out)
        found += useless_grants.unopened(script, places, level)
    if run.failure is not None:
        told = {(one.crate, one.version) for one in found if one.evidence or one.rule == FAILED}
        found += failed_runs.of_build(run.failure, places, told)
    return _distinct(found)


def from_young(young: Iterable[tuple[str, str, str]], places: GrantLines) -> list[Finding]:
    """Return a finding for each package that is too young for its grants.

    Args:
        young: Names with versions, and what is to be said of them: until when, and what to do.
        places: Lines of the Cargo.toml that holds the grants.
    """
    found = (
        Finding(
            rule=TOO_YOUNG,
            level=Level.NOTE,
            crate=name,
            version=version,
            title=cut_title(sentence.partition("; ")[0]),
            details=cut_details([sentence.partition("; ")[2]]),
            way=(),
            remedy=(),
            command="",
            line=places.of_crate(name, version),
            fingerprint=fingerprint(TOO_YOUNG, name, ()),
        )
        for name, version, sentence in young
    )
    return _distinct(found)


def from_pending(
    pending: Iterable[Pending],
    places: GrantLines,
    *,
    level: Level = Level.ERROR,
    command: str = REVIEW,
) -> list[Finding]:
    """Return a finding for each crate that was not reviewed as it is now.

    `command` is the review that would see it run.
    """
    return _distinct(_not_reviewed(one, places, level, command) for one in pending)


def from_unused(
    unused: Iterable[tuple[str, str, Iterable[str]]],
    places: GrantLines,
    *,
    level: Level = Level.WARNING,
    ways: Mapping[tuple[str, str], tuple[str, ...]] | None = None,
    command: str = prune(),
) -> list[Finding]:
    """Yield a finding for each unused grant.

    Args:
        unused: Crate, version (may be empty), and grants as `Snapshot.unused` has them:
            `exec:perl`, `preset:cc`. `for:NAME` is a consumer of macros that is nowhere.
        places: Lines of the Cargo.toml that holds the grants.
        level: An error where unused grants shall fail the command.
        ways: How crates got into the graph, by crate and version, as far as it is known.
        command: The review that proposes to remove them.
    """
    found = (
        _unused(crate, version, grant, places, level, (ways or {}).get((crate, version), ()))
        for crate, version, grants in unused
        for grant in sorted(grants)
    )
    return _distinct(replace(one, command=command) if one.command else one for one in found)


def _not_reviewed(one: Pending, places: GrantLines, level: Level, command: str) -> Finding:
    who = named(one.crate, one.version)
    what = " and ".join(f"{'a ' if one.is_new else ''}{each.noun}" for each in one.subjects)
    title = f"{who} has {what} that nobody has reviewed"
    if not one.is_new:
        how = (
            "was not reviewed as it is"
            if len(one.subjects) == 1
            else "were not reviewed as they are"
        )
        title = f"the {what} of {who} {how} now"
    # That it is new is what the title says.
    told = [sentence for cause, sentence in one.causes if cause is not Cause.NEW]
    return Finding(
        rule=NOT_REVIEWED,
        level=level,
        crate=one.crate,
        version=one.version,
        title=cut_title(title),
        details=cut_details(told),
        way=one.way,
        remedy=(),
        command=command,
        line=places.of_crate(one.crate, one.version, one.way),
        fingerprint=fingerprint(NOT_REVIEWED, one.crate, ()),
        is_new=one.is_new,
        roles=tuple(map(Role, one.subjects)),
    )


def _unused(
    crate: str, version: str, grant: str, places: GrantLines, level: Level, way: tuple[str, ...]
) -> Finding:
    kind, _, what = grant.partition(":")
    title = f"{named(crate, version)} is granted {kind} {what} and did not use it"
    if kind == "for":
        title = f"`for` of {crate} names {what}: Cargo.lock has no such package"
    return Finding(
        rule=UNUSED_GRANT,
        level=level,
        crate=crate,
        version=version,
        title=cut_title(title),
        details=(),
        way=way,
        remedy=(),
        command="" if kind == "for" else prune(),
        line=places.of_grant(crate, version, grant, way),
        fingerprint=fingerprint(UNUSED_GRANT, crate, (grant,)),
    )


def _distinct(findings: Iterable[Finding]) -> list[Finding]:
    """Make fingerprints unique within a run: two versions of a crate would share one."""
    seen: dict[str, int] = {}
    distinct: list[Finding] = []
    for finding in findings:
        number = seen.get(finding.fingerprint, 0)
        seen[finding.fingerprint] = number + 1
        if number:
            finding = replace(finding, fingerprint=digest(f"{finding.fingerprint}\0{number}"))
        distinct.append(finding)
    return distinct
