"""Makes findings from a run, from what was not reviewed, and from unused grants."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce

from buildperm.policy import pasted_grant
from buildperm.policy.access import Access, Outcome
from buildperm.policy.compilation import PINNED
from buildperm.policy.grants import CrateGrants
from buildperm.policy.kinds import Kind
from buildperm.policy.pending_review import Cause, Pending
from buildperm.policy.proposal import Proposal, Reason, Risk
from buildperm.policy.revision import of_package
from buildperm.policy.risk import assess_rule
from buildperm.policy.risk_combinations import theft_of
from buildperm.policy.role import SCRIPT_ALONE, Role
from buildperm.policy.undecided_accesses import is_unlisted
from buildperm.policy.widening import EVERYBODY
from buildperm.printable import shortened
from buildperm.report.build_failure import BuildFailure, HabitRefusal
from buildperm.report.build_run import LOST, BuildRun, IneffectiveGrant, ScriptRun
from buildperm.report.finding import Finding, Level
from buildperm.report.manifest_place import GrantLines
from buildperm.report.next_command import REVIEW, prune
from buildperm.report.rule_catalogue import (
    BUILD_FAILED,
    FAILED,
    INCOMPLETE,
    LEADS_OUT,
    NOT_REVIEWED,
    TOO_YOUNG,
    UNOPENED,
    UNUSED_GRANT,
)
from buildperm.report.shell_line import example_text
from buildperm.report.text import access_text, count, table_key
from buildperm.rules import left_behind
from buildperm.rules.pattern import matches

_LIMIT = re.compile(r"the limit is `(\w+) = ")
_IN_OUT_DIR = (
    "In its OUT_DIR a script makes no devices and no setuid bits, and no file of elsewhere is "
    "linked or moved there: it can be copied."
)
_KEPT_FOLDERS = ("$OUT_DIR", "$TMP")
_NO_FOLDER = (
    "No folder can be made where a grant names a file: `PATH/**` is a grant of the folder PATH."
)
_UNLISTED = (
    "A folder with a closed folder in it cannot be listed: that would list the closed one, too. "
    "Grant the folders beside it, move it elsewhere, or use the runtime `full`."
)
_LEFT = ("it left in its output folder ", "it left beside programs ")
_LISTED = 10  # Accesses told in words; all of them are in `Finding.evidence`.
_TITLE_MOST = 300  # Characters.
_DETAIL_MOST = 2_000
_COMMAND_MOST = 200
_DIGITS = 32


def from_build(run: BuildRun, places: GrantLines, *, level: Level = Level.ERROR) -> list[Finding]:
    """Tell what was done beyond the grants, and where a run or recording is not whole.

    Args:
        run: What was built.
        places: Lines of the Cargo.toml that holds the grants.
        level: Of what was refused or failed; a warning where that shall not fail the command.
    """
    found: list[Finding] = []
    offers = _offers(run.scripts)
    settling: dict[str, tuple[str, ...]] = {}
    for key, offered in offers.items():
        # What nobody can write takes nothing else with it.
        possible = [each for each in offered if places.pasted(key, each)]
        if possible:
            settling[key] = places.pasted(key, reduce(pasted_grant.together, possible))
    for script in run.scripts:
        asked = (one for one in script.findings if one.reason is Reason.ASKED)
        found += (
            replace(
                _refused_finding(script, proposal, places, level),
                settling=settling.get(script.crate, ()),
            )
            for proposal in asked
        )
        found += _incomplete_finding(script, places, level)
        found += (_leads_out(script, one, places) for one in script.left_out)
        found += _unopened(script, places, level)
    if run.failure is not None:
        told = {(one.crate, one.version) for one in found if one.evidence or one.rule == FAILED}
        found += _build_failed(run.failure, places, told)
    return _distinct(found)


def from_young(young: Iterable[tuple[str, str, str]], places: GrantLines) -> list[Finding]:
    """Return a finding for each package that is too young for its grants.

    Args:
        young: Names with versions, and what is to be said of them: until when, and what to do.
        places: Lines of the Cargo.toml that holds the grants.
    """
    return [
        Finding(
            rule=TOO_YOUNG,
            level=Level.NOTE,
            crate=name,
            version=version,
            title=_title(sentence.partition("; ")[0]),
            details=_details([sentence.partition("; ")[2]]),
            way=(),
            remedy=(),
            command="",
            line=places.of_crate(name, version),
            fingerprint=fingerprint(TOO_YOUNG, name, ()),
        )
        for name, version, sentence in young
    ]


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


def fingerprint(rule: str, crate: str, targets: Iterable[str]) -> str:
    """Return a digest of what was found that stays the same over runs, versions and lines."""
    return _hash("\0".join((rule, crate, *sorted(targets))))


def _refused_finding(
    script: ScriptRun, proposal: Proposal, places: GrantLines, level: Level
) -> Finding:
    kinds = [access.kind for access in proposal.evidence]
    # A tool chain is decided as one; what it reads and sees follows from what is run.
    kind = Kind.EXEC if Kind.EXEC in kinds else kinds[0]
    targets = [access.target for access in proposal.evidence]
    own = [access.target for access in proposal.evidence if access.kind is kind]
    grant = proposal.suggestion
    theft = theft_of(_all_of(script))
    offer = _offer(script, proposal, theft)
    remedy = places.pasted(script.crate, offer) if offer else ()
    lacks_review = _lacks_review(script, proposal)
    title = f"{proposal.who} {_attempt_words(proposal.evidence)} to {proposal.title}"
    if lacks_review:
        title += f", which is granted: version {script.version} is not in `reviewed`"
    return Finding(
        rule=str(kind),
        level=level,
        crate=script.crate,
        version=script.version,
        title=_title(title),
        details=_details(
            (
                *proposal.notes,
                proposal.locked,
                *_evidence_lines(proposal.evidence),
                *_not_opened(script, proposal.evidence),
            )
        ),
        way=script.way,
        remedy=remedy,
        command=REVIEW,
        line=places.of_kind(script.crate, script.version, kind, own, script.way),
        fingerprint=fingerprint(str(kind), script.crate, [*targets, *_for_whom(proposal)]),
        evidence=proposal.evidence,
        risk=proposal.risk,
        roles=proposal.roles,
        summary=_title(proposal.title),
        reasons=_details(
            (*proposal.notes, proposal.locked, *_not_opened(script, proposal.evidence))
        ),
        is_preset=bool(grant.preset),
        lacks_review=lacks_review,
        theft=theft,
    )


def _lacks_review(script: ScriptRun, proposal: Proposal) -> bool:
    """Tell whether all of it is granted, and only waits for a review of this version."""
    waiting = [each.rule for each in script.withheld if each.lacks_review]
    return bool(waiting) and all(
        any(rule.kind is access.kind and matches(rule.pattern, access.target) for rule in waiting)
        for access in proposal.evidence
    )


def _offers(scripts: Iterable[ScriptRun]) -> dict[str, list[CrateGrants]]:
    """Return what may be offered to paste, by key."""
    found: dict[str, list[CrateGrants]] = {}
    for script in scripts:
        theft = theft_of(_all_of(script))
        for proposal in script.findings:
            offer = _offer(script, proposal, theft) if proposal.reason is Reason.ASKED else None
            if offer is not None:
                found.setdefault(script.crate, []).append(offer)
    return found


def _offer(
    script: ScriptRun, proposal: Proposal, theft: tuple[Access, Access] | None
) -> CrateGrants | None:
    """Return what settles a proposal: what is pinned to versions only counts for those named.

    Lines that can be pasted are no help where somebody steals.
    """
    if proposal.locked or proposal.risk is Risk.CRITICAL or theft:
        return None
    grant = proposal.suggestion
    is_pinned = any(assess_rule(rule)[0] >= PINNED for rule in grant.rules)
    return CrateGrants(
        script.crate,
        reviewed=frozenset([of_package(script.version, script.source)] if is_pinned else []),
        presets=frozenset([grant.preset] if grant.preset else []),
        rules=frozenset(grant.rules),
        consumers=frozenset(grant.consumers),
    )


def _all_of(script: ScriptRun) -> list[Access]:
    """Return all that is known of what a crate did; of a run elsewhere, that is its findings."""
    found = dict.fromkeys(script.everything)
    found |= dict.fromkeys(access for each in script.findings for access in each.evidence)
    return list(found)


def _for_whom(proposal: Proposal) -> Iterator[str]:
    """Yield what tells a finding from that about the build script of the same crate."""
    for access in proposal.evidence[:1]:
        if access.roles != SCRIPT_ALONE:
            yield "\0".join(sorted({str(role.subject) for role in access.roles}))
        if access.outside:
            yield access.outside


def _attempt_words(evidence: Iterable[Access]) -> str:
    outcomes = {access.outcome for access in evidence}
    if Outcome.REFUSED in outcomes:
        return "was not allowed"
    return "was able" if Outcome.DONE in outcomes else "tried"


def _evidence_lines(evidence: tuple[Access, ...]) -> Iterator[str]:
    for access in evidence[:_LISTED]:
        chain = f", by {' > '.join(access.chains[0])}" if access.chains else ""
        yield f"{access_text(access)}{chain}"
        if access.kind is Kind.EXEC and access.example not in ("", access.target):
            yield f"as {shortened(example_text(access), _COMMAND_MOST)}"
    if len(evidence) > _LISTED:
        yield f"and {len(evidence) - _LISTED:,} more"


def _not_opened(script: ScriptRun, evidence: Iterable[Access]) -> Iterator[str]:
    """Name the grants that seem to allow it but do not."""
    told = list(evidence)
    for one in script.left_out:
        if any(map(one.is_about, told)):
            yield f"{one}."
    for rule, why in ((each.rule, each.why) for each in script.withheld):
        if any(each.kind is rule.kind and matches(rule.pattern, each.target) for each in told):
            yield f"`{rule.kind} {rule.pattern}` is granted and not in force: {why}."


def _leads_out(script: ScriptRun, one: IneffectiveGrant, places: GrantLines) -> Finding:
    grant = f"{one.rule.kind}:{one.rule.pattern}"
    return Finding(
        rule=LEADS_OUT,
        level=Level.WARNING,
        crate=script.crate,
        version=script.version,
        title=_title(f"{_named(script.crate, script.version)}: {one}"),
        details=_details((one.remedy,)),
        way=script.way,
        remedy=(),
        command="",
        line=places.of_grant(script.crate, script.version, grant, script.way),
        fingerprint=fingerprint(LEADS_OUT, script.crate, (grant,)),
    )


def _unopened(script: ScriptRun, places: GrantLines, level: Level) -> Iterator[Finding]:
    kept = tuple(each for each in script.unopened if each.target in _KEPT_FOLDERS and each.is_entry)
    if kept:
        yield _kept_folder(script, kept, places)
    unopened = tuple(each for each in script.unopened if each not in kept)
    if unopened:
        unlisted = [each for each in unopened if is_unlisted(each)]
        first, *more = sorted(unopened, key=lambda each: each not in unlisted)
        also = f" and {count(len(more), 'more access', 'more accesses')}" if more else ""
        who = _named(script.crate, script.version)
        title = _title(f"{who}: {first.kind} {first.target}{also} refused, though granted")
        line = places.of_crate(script.crate, script.version, script.way)
        told = tuple(_evidence_lines(unopened))
        if any(each.target.startswith("$OUT_DIR") for each in unopened):
            told = (*told, _IN_OUT_DIR)
        if unlisted:
            told = (*told, _UNLISTED)
        if any(each.kind is Kind.WRITE and each.is_folder for each in unopened):
            told = (*told, _NO_FOLDER)
        yield _plain(UNOPENED, level if unlisted else Level.WARNING, script, title, told, line)


def _kept_folder(script: ScriptRun, kept: tuple[Access, ...], places: GrantLines) -> Finding:
    """Tell that a script was to remove a folder that it was given: it may only empty it."""
    names = " and ".join(each.target for each in kept)
    who = _named(script.crate, script.version)
    one = len(kept) == 1
    return _plain(
        UNOPENED,
        Level.NOTE if not script.failed else Level.WARNING,
        script,
        _title(f"{who} tried to remove or rename {names}: {'it stays' if one else 'they stay'}"),
        (
            *_evidence_lines(kept),
            "Cargo made the folder and looks into it afterwards. A script may empty it, and fill "
            "it again; the folder itself stays. Most scripts do not mind.",
            *(
                ("This one failed: if that is why, only a version that empties it helps.",)
                if script.failed
                else ()
            ),
        ),
        places.of_crate(script.crate, script.version, script.way),
    )


def _incomplete_finding(script: ScriptRun, places: GrantLines, level: Level) -> Iterator[Finding]:
    line = places.of_crate(script.crate, script.version, script.way)
    who = _named(script.crate, script.version)
    if script.failure:
        what = " or ".join(subject.noun for subject in script.subjects)
        title = _title(f"buildperm failed the {what} of {who}: {script.failure}")
        yield _plain(FAILED, level, script, title, tuple(after_failure(script, places.home)), line)
    if script.denied:
        yield _failed_by_denial(script, level, line, places.home)
    if script.habitual:
        yield _failed_with_habits(script, line)  # After what is likelier to be why.
    if script.dropped:
        title = _title(f"{count(script.dropped, 'event')} did not fit into the recording of {who}")
        told = (
            "It was held to its grants all the same, but the list of what it did has gaps.",
            "Run the build again. If this happens each time, it does far more than building takes.",
        )
        yield _plain(INCOMPLETE, Level.WARNING, script, title, told, line)


def _build_failed(
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
            title=_title(title),
            details=_details((why, "" if number else failure.unseen)),
            way=(),
            remedy=(),
            command="",
            line=places.of_crate(crate, version),
            fingerprint=fingerprint(BUILD_FAILED, crate, ()),
        )


def _failed_by_denial(script: ScriptRun, level: Level, line: int, home: str) -> Finding:
    """Tell that a run failed which was denied something: that may be why."""
    title, *ways_on = failed_by_denial(script, script.denied, home)
    told = (*_evidence_lines(script.denied), *ways_on)
    return _plain(FAILED, level, script, _title(title), tuple(told), line)


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
            *_evidence_lines(script.habitual),
            "Most programs do without. What else is told of it is likelier to be why it failed.",
        )
        return _plain(FAILED, Level.NOTE, script, _title(title), told, line)
    title = f"{script.who} failed, and was refused {first.kind} {first.target}{also}"
    told = (
        *_evidence_lines(script.habitual),
        "Most programs do without, so nobody is asked about it. If this one does not, that is why "
        f"it failed: `{HabitRefusal(script.crate, f'{first.kind}:{first.target}').question}` says "
        "what can be done.",
    )
    return _plain(FAILED, Level.WARNING, script, _title(title), told, line)


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


def _plain(
    rule: str, level: Level, script: ScriptRun, title: str, details: tuple[str, ...], line: int
) -> Finding:
    return Finding(
        rule=rule,
        level=level,
        crate=script.crate,
        version=script.version,
        title=title,
        details=details,
        way=script.way,
        remedy=(),
        command="",
        line=line,
        fingerprint=fingerprint(rule, script.crate, ()),
        roles=script.roles,
    )


def _not_reviewed(one: Pending, places: GrantLines, level: Level, command: str) -> Finding:
    who = _named(one.crate, one.version)
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
        title=_title(title),
        details=_details(told),
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
    title = f"{_named(crate, version)} is granted {kind} {what} and did not use it"
    if kind == "for":
        title = f"`for` of {crate} names {what}: Cargo.lock has no such package"
    return Finding(
        rule=UNUSED_GRANT,
        level=level,
        crate=crate,
        version=version,
        title=_title(title),
        details=(),
        way=way,
        remedy=(),
        command="" if kind == "for" else prune(),
        line=places.of_grant(crate, version, grant, way),
        fingerprint=fingerprint(UNUSED_GRANT, crate, (grant,)),
    )


def _named(crate: str, version: str) -> str:
    return f"{crate} {version}" if version else crate


def _title(text: str) -> str:
    return shortened(text, _TITLE_MOST)


def _details(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(shortened(line, _DETAIL_MOST) for line in lines if line)


def _distinct(findings: Iterable[Finding]) -> list[Finding]:
    """Make fingerprints unique within a run: two versions of a crate would share one."""
    seen: dict[str, int] = {}
    distinct: list[Finding] = []
    for finding in findings:
        number = seen.get(finding.fingerprint, 0)
        seen[finding.fingerprint] = number + 1
        if number:
            finding = replace(finding, fingerprint=_hash(f"{finding.fingerprint}\0{number}"))
        distinct.append(finding)
    return distinct


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
