"""Reports for people: plain lines that survive a log file, a pipe and a screen reader."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby

from buildperm.errors import ExitCode
from buildperm.policy.access import LOOKED, Access, Outcome
from buildperm.policy.kinds import Kind
from buildperm.policy.merging import takes_answer
from buildperm.policy.pending_review import Pending
from buildperm.policy.proposal import Choice, Proposal, Risk
from buildperm.policy.role import SCRIPT_ALONE, SubjectKind
from buildperm.policy.sought_secrets import EMPTY_HOME
from buildperm.policy.string_list import literal
from buildperm.policy.undecided_accesses import is_habit, is_settled
from buildperm.printable import log_line, printable
from buildperm.report import build_failure, missing_settings, refused_text, unreviewed_macros
from buildperm.report.build_run import (
    DIFFERS,
    EQUAL,
    IN_PLACE,
    NOT_TRIED,
    BuildRun,
    ScriptRun,
)
from buildperm.report.compiling import compiling_text
from buildperm.report.finding import Finding, Level, Report, worst_first
from buildperm.report.rule_catalogue import BUILD_FAILED, WIDER_GRANT
from buildperm.rules import own_temporaries, profile_output

_SHOWN = 5  # Accesses listed per finding; the rest is counted.

WORD = {Risk.LOW: "low", Risk.MEDIUM: "medium", Risk.HIGH: "HIGH", Risk.CRITICAL: "CRITICAL"}

WORKSPACE = "workspace.metadata.buildperm"
"""The grant table of a workspace; that of a package alone is in `package`."""

_GRANTED = {True: "that is granted", False: "that are granted"}
_CONSENT = "somebody else than the author has to agree."

_MEANINGS: dict[int, str] = {
    ExitCode.REFUSED: "refused by policy",
    ExitCode.NOT_REVIEWED: "not reviewed, and the grants are wider",
    ExitCode.UNUSED: "a grant is not used",
}

LIGHTLY = "which files C compilers read is not listed; `--observe everything` lists them."

_WASI = {
    IN_PLACE: "run as WASI; compared with the native run ",
    EQUAL: "run natively; the same as WASI, which is believed from now on",
    DIFFERS: "run natively; as WASI it differs",
    NOT_TRIED: "run natively; not tried as WASI",
}

_LEVEL = {Level.ERROR: "ERROR", Level.WARNING: "warning", Level.NOTE: "note"}


def count(number: int, singular: str, plural: str = "") -> str:
    """Write `number` with its noun: `1 event`, `2 events`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def rule_lines(proposal: Proposal, choice: Choice, home: str = WORKSPACE) -> list[str]:
    """Write the lines of Cargo.toml that `choice` stands for.

    `home` is the path of the grant table, as TOML writes it.
    """
    table = f"[{home}.crates.{table_key(proposal.crate)}]"
    presets = [f"presets = [{literal(choice.preset)}]"] if choice.preset else []
    by_kind: dict[Kind, list[str]] = {}
    for rule in choice.rules:
        by_kind.setdefault(rule.kind, []).append(literal(rule.pattern))
    lists = [f"{kind} = [{', '.join(patterns)}]" for kind, patterns in by_kind.items()]
    return [table, *presets, *lists, *_for(choice)]


def _for(choice: Choice) -> list[str]:
    named = ", ".join(map(literal, choice.consumers))
    return [f"for = [{named}]"] if named else []


def undecided(proposal: Proposal) -> str:
    """Name an undecided proposal and its risk, in one line."""
    risk = proposal.risk.name.lower()
    return f"undecided: {proposal.who}: {proposal.title} ({risk})"


def warnings(scripts: Iterable[ScriptRun]) -> Iterator[str]:
    """Yield a warning for each recording that is incomplete: nobody is asked about the rest."""
    for script in scripts:
        who = script.who
        if script.failure:
            yield f"warning: {who}: {script.failure}"
        if script.dropped:
            yield f"warning: {who}: {_dropped(script)}"
        for one in script.left_out:
            yield printable(f"warning: {who}: {one}. {one.remedy}")


def notes(scripts: Iterable[ScriptRun]) -> Iterator[str]:
    """Yield what needs no decision but may be worth a look."""
    for script in scripts:
        who = script.who
        number = len(script.programs) + script.programs_unlisted
        if number:
            named = [f"$OUT_DIR/{path}" for path in script.programs[:_SHOWN]]
            more = f" and {number - len(named):,} more" if number > len(named) else ""
            yield printable(
                f"note: {who} leaves {count(number, 'program')}: {', '.join(named)}{more}"
            )
        missing = missing_settings.note(who, script.everything)
        if missing:
            yield printable(missing)
        if script.told:
            more = f" and {len(script.told) - _SHOWN:,} more" if len(script.told) > _SHOWN else ""
            told = ", ".join(script.told[:_SHOWN])
            yield printable(
                f"note: {who} names to its dependents what is not its own: {told}{more}"
            )


def _dropped(script: ScriptRun) -> str:
    return f"{count(script.dropped, 'event')} did not fit into the recording"


def dependency_path(run: ScriptRun) -> str:
    """Say how the crate got into the dependency graph."""
    return " > ".join(run.way)


def findings(run: BuildRun) -> Iterator[str]:
    """Yield lines about who did what beyond the grants, and what would allow it."""
    for script in run.offenders:
        yield script.who
        if len(script.way) > 1:
            yield f"  gets in through {dependency_path(script)}"
        if script.failure:
            yield f"  failed by buildperm: {script.failure}"
        if script.dropped:
            yield f"  {_dropped(script)}"
        for proposal in script.findings:
            yield from _finding(proposal)
        yield ""


def finding_lines(findings: Iterable[Finding], *, named_last: str = "") -> Iterator[str]:
    """Yield the findings line by line, crate by crate, the worst crate first.

    `named_last` is the one command that the end of the report names; it is not named before.
    """
    ranks: dict[tuple[str, str], int] = {}
    ordered, alike = unreviewed_macros.taken_out(worst_first(findings))
    for finding in ordered:
        ranks.setdefault((finding.crate, finding.version), len(ranks))
    ordered.sort(key=lambda finding: ranks[finding.crate, finding.version])
    shared = _settling_several(ordered)
    told: set[str] = set()
    for (crate, version), about in groupby(ordered, lambda found: (found.crate, found.version)):
        group = list(about)
        yield printable(f"{crate} {version}".rstrip())
        if len(group[0].way) > 1:
            yield printable(f"  gets in through {' > '.join(group[0].way)}")
        yield from refused_text.lines(group, told)
        others = [
            each
            for each in group
            if not refused_text.is_refusal(each) and not refused_text.is_told(each, group)
        ]
        for finding in others:
            yield printable(f"  {_LEVEL[finding.level]}: {finding.title}")
            for detail in finding.details:
                yield printable(f"      {detail}")
        settled = {
            finding.command for finding in group if refused_text.is_refusal(finding)
        } | shared
        for command in dict.fromkeys(finding.command for finding in others if finding.command):
            if command not in settled and command != named_last:
                yield printable(f"  next: {command}")
        yield ""
    for group in alike:
        yield from unreviewed_macros.lines(group, _LEVEL[group[0].level])
    following = sorted(shared - {named_last})
    if following:
        yield from (printable(f"next: {command}") for command in following)
        yield ""


def _settling_several(findings: Iterable[Finding]) -> set[str]:
    """Return the commands that settle findings of several crates, refusals aside."""
    settled: dict[str, set[tuple[str, str]]] = {}
    for finding in findings:
        if finding.command and not refused_text.is_refusal(finding):
            settled.setdefault(finding.command, set()).add((finding.crate, finding.version))
    return {command for command, crates in settled.items() if len(crates) > 1}


def document(report: Report) -> str:
    """Write `report`: a block for each crate, then a summary and the next command."""
    told = [each for each in report.findings if each.rule != BUILD_FAILED]  # Comes last.
    commands = _deciding(report)
    last = commands[0] if len(commands) == 1 else ""
    lines = [*_verdict(report), *finding_lines(told, named_last=last), *_closing(report)]
    return "".join(f"{log_line(line)}\n" for line in lines)


def _deciding(report: Report) -> list[str]:
    """Return the commands that the end names; none where each refusal has named its own."""
    asked = [each for each in report.findings if each.command]
    if any(map(refused_text.is_refusal, asked)):
        return []
    return list(dict.fromkeys(each.command for each in asked))


def _verdict(report: Report) -> Iterator[str]:
    """Say in one line who was refused how much."""
    refused = list(filter(refused_text.is_refusal, report.findings))
    if not refused or report.run is None:
        return
    who = list(dict.fromkeys(f"{each.crate} {each.version}" for each in refused))
    tried, done = refused_text.tally(refused)
    named = who[0] if len(who) == 1 else f"{len(who)} crates"
    what = f"{count(tried, 'thing')} {'it was' if len(who) == 1 else 'they were'} not granted"
    if all(each.lacks_review for each in refused):
        versions = "its version is" if len(who) == 1 else "their versions are"
        what = f"{count(tried, 'thing')} {_GRANTED[tried == 1]}, but {versions} not in `reviewed`"
    blocked = "it was blocked" if tried == 1 else "all were blocked"
    if done:
        blocked = f"{done:,} of them could not be blocked"
    head = "FAILED" if report.exit_code else "WARNING"
    yield printable(f"buildperm: {head}. {named} tried {what}; {blocked}.")
    yield ""


def _closing(report: Report) -> Iterator[str]:
    run = report.run
    if run is None:
        if report.pending:
            waiting = to_review(report.pending, report.total)
            yield f"buildperm: {waiting}; nothing was built."
    else:
        within = f", root {run.root}" if run.root else ""
        held = f"{held_tally(run)} held ({run.runtime}, Landlock ABI {run.landlock_abi}{within})"
        yield f"buildperm: {held}{_blocked(run)}."
        yield from _restored(run)
        yield from _remote(run)
        yield from _wasi(run)
        loose = compiling_text(run.compiling, run.macros, run.lacking)
        if loose:
            yield f"buildperm: {loose}"
        if any(script.is_light for script in run.scripts):
            yield f"buildperm: {LIGHTLY}"
    wider = sum(finding.rule == WIDER_GRANT for finding in report.findings)
    if wider:
        yield f"buildperm: the grants are wider in {count(wider, 'place')}; {_CONSENT}"
    deciding = _deciding(report)
    if deciding:
        commands = " and ".join(f"`{each}`" for each in deciding)
        yield printable(f"To decide, run {commands}; then commit Cargo.toml and buildperm.lock.")
    if run is not None and run.failure is not None:
        yield from build_failure.lines(run.failure, report.exit_code, report.command)
    meaning = _MEANINGS.get(report.exit_code)
    if report.exit_code == ExitCode.NOT_REVIEWED and not (wider and report.pending):
        meaning = "the grants are wider" if wider else "not reviewed"
    if meaning:
        yield f"Exit code {report.exit_code}: {meaning}."


def _restored(run: BuildRun) -> Iterator[str]:
    """Say which scripts did not run, as what they make was put back."""
    found: dict[tuple[str, str], list[str]] = {}
    for script in run.scripts:
        for at_s, by in dict.fromkeys(script.restored):
            day = time.strftime("%Y-%m-%d", time.gmtime(max(0, at_s)))
            found.setdefault((day, by), []).append(f"{script.crate} {script.version}")
    for (day, by), who in found.items():
        yield printable(f"buildperm: restored; recorded {day} by {by}: {', '.join(who)}.")


def _remote(run: BuildRun) -> Iterator[str]:
    """Say which scripts ran on an engine, and why others did not."""
    found: dict[tuple[str, str, bool], list[str]] = {}
    for script in run.scripts:
        for one in dict.fromkeys(script.remote):
            found.setdefault(one, []).append(f"{script.crate} {script.version}")
    for (at, why, is_kept), who in sorted(found.items()):
        where = f"ran here, and not on {at}" if why else f"ran on {at}"
        if is_kept:
            where = f"answered by the cache of {at}, and not run"
        yield printable(f"buildperm: {where}: {', '.join(who)}{f': {why}' if why else ''}.")


def _wasi(run: BuildRun) -> Iterator[str]:
    """Say which scripts ran as WASI, and what came of the others."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for script in run.scripts:
        for outcome, why, compared_s in script.wasi:
            day = time.strftime("%Y-%m-%d", time.gmtime(compared_s)) if outcome == IN_PLACE else ""
            found.setdefault((outcome, why, day), []).append(f"{script.crate} {script.version}")
    for (outcome, why, day), who in sorted(found.items()):
        told = f"{_WASI[outcome]}{day}: {', '.join(dict.fromkeys(who))}"
        yield printable(f"buildperm: {told}{f': {why}' if why else ''}.")


def _blocked(run: BuildRun) -> str:
    """Say what was blocked where nobody has to decide about it; empty where somebody has to."""
    if run.offenders or not run.scripts:
        return ""
    denied = habits = False
    for script in run.scripts:
        unopened = {access.target for access in script.unopened}
        for access in script.everything:
            if is_habit(access):
                habits = True
            elif access.outcome is Outcome.REFUSED and access.target not in unopened:
                denied = True
    what = [
        *(["what Cargo.toml denies"] if denied else []),
        *(
            ["what a grant names but cannot open (see above)"]
            if any(script.unopened for script in run.scripts)
            else []
        ),
        *(["what most programs do without"] if habits else []),
    ]
    if not what and any(each.is_answered_look for one in run.scripts for each in one.everything):
        return "; nothing was blocked"
    if not what:
        return "; nothing beyond the baseline and the grants was seen"
    return f"; only {' and '.join(what)} was blocked"


def _finding(proposal: Proposal) -> Iterator[str]:
    yield f"  {WORD[proposal.risk]}: {proposal.title}"
    for note in proposal.notes:
        yield f"      {note}"
    for access in proposal.evidence[:_SHOWN]:
        yield f"    - {access_text(access)}"
        for chain in access.chains[:1]:
            yield f"      by {' > '.join(chain)}"
    if len(proposal.evidence) > _SHOWN:
        yield f"    - and {len(proposal.evidence) - _SHOWN} more"
    if proposal.locked:
        yield f"    cannot be allowed by a decision: {proposal.locked}"
    else:
        yield "    would be allowed by:"
        for line in rule_lines(proposal, proposal.suggestion):
            yield f"      {line}"


def access_text(access: Access) -> str:
    """Describe an access: its target, its outcome, and how often it was seen."""
    is_compiling = {role.subject for role in access.roles} == {SubjectKind.COMPILE}
    outcome = {
        # Compiling is held, or only watched, whatever the runtime.
        Outcome.DONE: (
            "done, nothing prevented it"
            if is_compiling
            else LOOKED
            if access.is_look
            else "let through while learning"
            if access.is_let_through
            else "done in a folder of its own"
            if own_temporaries.is_own(access.target) or profile_output.is_pattern(access.target)
            else "done, this runtime could not prevent it"
        ),
        Outcome.FAILED: _failed(access),
        Outcome.REFUSED: "refused",
    }[access.outcome]
    times = f", {access.count:,} times" if access.count > 1 else ""
    unstable = f", {access.unstable}" if access.unstable else ""
    return f"{access.kind} {access.target}: {outcome}{times}{unstable}"


def _failed(access: Access) -> str:
    """Say how something failed that buildperm did not refuse."""
    if access.saw_empty_home:
        return f"looked for; {EMPTY_HOME}"
    if access.refused_by_system:
        return f"refused by the system itself ({access.refused_by_system}); no grant changes that"
    return "failed of its own"


def table(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Align `rows` in columns; the first row is the heading."""
    cells = list(rows)
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        first, *rest = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join((first, *rest)).rstrip()


def tally(scripts: Iterable[ScriptRun]) -> str:
    """Count what ran: `1 build script`, `12 build scripts and 87 procedural macros`."""
    return subject_tally(script.subjects for script in scripts)


def subject_tally(subjects: Iterable[Collection[SubjectKind]]) -> str:
    """Count crates by what they have: a compilation only counts where nothing else is there."""
    listed = list(subjects)
    scripts = sum(SubjectKind.SCRIPT in each for each in listed)
    macros = sum(SubjectKind.MACRO in each for each in listed)
    compiled = sum(set(each) == {SubjectKind.COMPILE} for each in listed)
    counts = [count(scripts, "build script")] if scripts or not listed else []
    counts += [count(macros, "procedural macro")] if macros else []
    counts += [count(compiled, "compilation")] if compiled else []
    return f"{', '.join(counts[:-1])} and {counts[-1]}" if len(counts) > 1 else counts[0]


def crate_tally(scripts: Iterable[ScriptRun]) -> str:
    """Count crates that ran, by what they have where that is the same of all: `2 build scripts`."""
    listed = list(scripts)
    kinds = {script.subjects for script in listed}
    alike = len(kinds) == 1 and kinds <= {(SubjectKind.SCRIPT,), (SubjectKind.MACRO,)}
    return tally(listed) if alike else count(len(listed), "crate")


def held_tally(run: BuildRun) -> str:
    """Count what ran and was held; compiling may be all."""
    compiled = (SubjectKind.COMPILE,)
    ran = [each for each in run.scripts if each.subjects != compiled]
    is_held = run.compiling not in ("watch", "off")
    if ran:
        return tally(run.scripts if is_held else ran)
    if not is_held:
        return "nothing"
    return "compiling" if run.compiling or run.scripts else tally(())


def pending_tally(pending: Iterable[Pending]) -> str:
    """Count what is to be reviewed: `1 build script`, `2 build scripts and 9 procedural macros`."""
    return subject_tally(each.subjects for each in pending)


def to_review(pending: Iterable[Pending], total: str) -> str:
    """Say how much of all waits; `total` is empty where nobody has counted."""
    waiting = pending_tally(pending)
    return f"{waiting} to review" + (f", of {total}" if total not in ("", waiting) else "")


def is_quiet_macro(script: ScriptRun) -> bool:
    """Tell whether a crate's macros ran, nothing else of it, and there is nothing to tell."""
    ended_well = not (script.failed or script.failure or script.dropped)
    return script.subjects == (SubjectKind.MACRO,) and ended_well and not script.findings


def summary(scripts: Iterable[ScriptRun]) -> Iterator[str]:
    """Yield a table that counts events, accesses and decisions of each crate.

    Macros that did nothing are only counted: there are many.
    """
    ran = list(scripts)
    told = [script for script in ran if not is_quiet_macro(script)]
    quiet = [script for script in ran if is_quiet_macro(script)]
    head = "build script" if all(each.roles == SCRIPT_ALONE for each in told) else "crate"
    if told:
        yield from table(
            [
                (head, "events", "accesses", "decisions"),
                *(
                    (
                        script.who,
                        f"{script.events:,}",
                        f"{script.accesses:,}",
                        f"{sum(map(takes_answer, script.findings))}",
                    )
                    for script in told
                ),
            ]
        )
    if quiet:
        granted = sum(bool(set(map(is_settled, script.everything)) - {True}) for script in quiet)
        number = count(len(quiet) - granted, "procedural macro")
        if len(quiet) > granted:
            yield f"{number} stayed in the baseline."
        if granted:
            yield f"{count(granted, 'procedural macro')} did no more than is granted or denied."


def table_key(crate: str) -> str:
    """Write the key of a crate as the last part of a table's name."""
    bare = all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in crate)
    return crate if bare else literal(crate)
