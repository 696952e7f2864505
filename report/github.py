"""The report for GitHub Actions: annotations beside the lines of Cargo.toml, and a step summary."""

# Without `from __future__ import annotations`, whose name is that of a function here.
from collections.abc import Iterable, Iterator
from itertools import islice

from buildperm.printable import printable, shortened
from buildperm.report import markdown, refused_text
from buildperm.report.build_run import BuildRun
from buildperm.report.compiling import compiling_text
from buildperm.report.finding import Finding, Level, Report, worst_first
from buildperm.report.text import count, held_tally

ANNOTATIONS_MOST = 10
"""Annotations of one level that GitHub shows for one step; it drops the others without a word."""

SUMMARY_MOST = 900 << 10
"""Bytes of a summary: GitHub rejects the whole of it from 1 MiB on, and other tools add to it."""

_COMMAND = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}
_MESSAGE_MOST = 4_000  # Characters of one annotation.
_TITLE_MOST = 250
_TEXT_MOST = 2_000  # Characters of one line in the summary.
_ROWS_MOST = 100  # Of the table in the summary.
_LINES_MOST = 50  # Of one finding's details in the summary.
_REFUSALS_MOST = 500  # Lines about all that one crate was refused.
_SHARES = 3  # One crate gets one of so many shares of the room that is left in the summary.


def annotations(report: Report) -> str:
    """Write workflow commands, one on each line: one for each crate and rule, the gravest first."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in worst_first(report.findings):
        groups.setdefault((finding.crate, finding.rule), []).append(finding)
    lines: list[str] = []
    for level in Level:
        of_level = (group for group in groups.values() if group[0].level is level)
        lines += (_annotation(group, report) for group in islice(of_level, ANNOTATIONS_MOST))
    left_out = len(groups) - len(lines)
    if left_out:
        lines.append(
            f"buildperm: {count(left_out, 'annotation')} more left out, as GitHub shows "
            f"{ANNOTATIONS_MOST} of a kind; all findings are in the step summary."
        )
    return "".join(f"{line}\n" for line in lines)


def _annotation(group: list[Finding], report: Report) -> str:
    first = group[0]
    more = f" (and {len(group) - 1} more)" if len(group) > 1 else ""
    properties = {
        "file": printable(report.manifest),
        "line": str(max(1, first.line)),
        "title": shortened(f"buildperm: {first.title}", _TITLE_MOST) + more,
    }
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{_COMMAND[first.level]} {written}::{_data(_message(first))}"


def _message(finding: Finding) -> str:
    lines = [shortened(finding.title, _TEXT_MOST)]
    if len(finding.way) > 1:
        lines.append(f"It gets in through {' > '.join(finding.way)}.")
    lines += finding.details
    if finding.remedy:
        lines += ["It would be allowed by", *finding.remedy]
    # The next command comes last and is never cut; what is before it may be.
    last = f"\nNext: {shortened(finding.command, 100)}" if finding.command else ""
    whole = "\n".join(shortened(line, _TEXT_MOST) for line in lines)
    room = _MESSAGE_MOST - len(last)
    return (whole if len(whole) <= room else f"{whole[: room - 1]}…") + last


def _data(text: str) -> str:
    """Escape the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape the value of a property of a workflow command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(report: Report) -> str:
    """Write a step summary in Markdown: a table, then each crate to be unfolded.

    It never has more than SUMMARY_MOST bytes; what was left out for that is counted at the end.
    """
    findings = worst_first(report.findings)
    crates: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        crates.setdefault((finding.crate, finding.version), []).append(finding)
    written = [*_head(report, len(crates)), *_table(findings, report)]
    room = SUMMARY_MOST - sum(map(_size, written)) - 1_000  # For the note at the end.
    left_out: list[Finding] = []
    for number, group in enumerate(crates.values()):
        # Never all of it, lest one crate that does a lot hides what the others do.
        share = room // min(_SHARES, len(crates) - number)
        lines, missing, left = _crate(group, share)
        room -= share - left
        written += lines
        left_out += missing
    if left_out:
        about = len({(finding.crate, finding.version) for finding in left_out})
        written.append(
            f"\n**{count(len(left_out), 'finding')} of {count(about, 'crate')} left out**, as "
            "GitHub takes 1 MiB at most. They are in the other reports, such as "
            "`buildperm ci --report json=PATH`."
        )
    return "".join(f"{line}\n" for line in written)


def _size(line: str) -> int:
    return len(line.encode()) + 1


def _head(report: Report, crates: int) -> Iterator[str]:
    workspace = markdown.code(report.workspace, _TITLE_MOST)
    yield f"## buildperm: {workspace}" if workspace else "## buildperm"
    yield ""
    if report.run:
        yield _terms(report.run)
    if not report.findings:
        yield "Nothing to report."
        return
    levels = [
        count(number, str(level))
        for level in Level
        if (number := sum(finding.level is level for finding in report.findings))
    ]
    yield f"{', '.join(levels)} in {count(crates, 'crate')}. Exit code {report.exit_code}."
    commands = dict.fromkeys(one.command for one in report.findings if one.command)
    for command in islice(commands, 3):
        told = markdown.code(command, _TITLE_MOST)
        yield f"Next, run {told} on your own machine and commit what it writes."


def _terms(run: BuildRun) -> str:
    runtime = markdown.code(run.runtime, _TITLE_MOST)
    loose = compiling_text(run.compiling, run.macros, run.lacking)
    told = f" {loose[0].upper()}{loose[1:]}" if loose else ""
    held = held_tally(run)
    held = f"{held[0].upper()}{held[1:]}"
    within = f", in the root {markdown.code(run.root, _TITLE_MOST)}" if run.root else ""
    return f"{held} held to grants by {runtime}, Landlock ABI {run.landlock_abi}{within}.{told}"


def _table(findings: list[Finding], report: Report) -> Iterator[str]:
    if not findings:
        return
    yield ""
    yield "| level | crate | what | where |"
    yield "|---|---|---|---|"
    file = report.manifest
    for finding in findings[:_ROWS_MOST]:
        crate = markdown.cell(f"{finding.crate} {finding.version}".rstrip(), _TITLE_MOST)
        title = markdown.cell(finding.title, 2 * _TITLE_MOST)
        where = markdown.cell(f"{file}:{max(1, finding.line)}", _TITLE_MOST)
        yield f"| {finding.level} | {crate} | {title} | {where} |"
    if len(findings) > _ROWS_MOST:
        yield ""
        yield f"And {len(findings) - _ROWS_MOST:,} more, below."
    yield ""


def _crate(findings: list[Finding], room: int) -> tuple[list[str], list[Finding], int]:
    """Write one crate within `room` bytes; return what did not fit, and the bytes that are left."""
    first = findings[0]
    name = markdown.inside_html(f"{first.crate} {first.version}".rstrip(), _TITLE_MOST)
    head = [
        "<details>",
        f"<summary><code>{name}</code>: {count(len(findings), 'finding')}</summary>",
        "",  # Markdown is read again only after an empty line.
    ]
    if len(first.way) > 1:
        head += [f"Gets in through {markdown.code(' > '.join(first.way), _TEXT_MOST)}.", ""]
    tail = ["", "</details>", ""]
    left = room - sum(map(_size, (*head, *tail)))
    body: list[str] = []
    rest = findings
    refused = tuple(refused_text.lines(findings))
    told = list(_block(refused, "text", _REFUSALS_MOST))
    # Where there is too much, each finding stands for itself, so that those left out are counted.
    if 0 < len(refused) <= _REFUSALS_MOST and sum(map(_size, told)) <= left:
        body, rest = told, [each for each in findings if not _is_told(each, findings)]
        left -= sum(map(_size, told))
    for number, finding in enumerate(rest):
        lines = list(_finding(finding))
        size = sum(map(_size, lines))
        if size > left:
            whole = [*head, *body, *tail] if body else []
            return whole, rest[number:], left if body else room
        body += lines
        left -= size
    return [*head, *body, *tail], [], left


def _finding(finding: Finding) -> Iterator[str]:
    rule = markdown.code(f"buildperm/{finding.rule}", _TITLE_MOST)
    yield f"**{finding.level}** {rule}: {markdown.code(finding.title, _TEXT_MOST)}"
    yield ""
    if finding.details:
        yield from _block(finding.details, "text")
    if finding.remedy:
        yield "It would be allowed by"
        yield ""
        yield from _block(finding.remedy, "toml")


def _is_told(finding: Finding, group: list[Finding]) -> bool:
    return refused_text.is_refusal(finding) or refused_text.is_told(finding, group)


def _block(lines: tuple[str, ...], language: str, most: int = _LINES_MOST) -> Iterable[str]:
    shown = list(lines[:most])
    if len(lines) > most:
        shown.append(f"and {len(lines) - most:,} lines more")
    return [*markdown.block(shown, _TEXT_MOST, language=language), ""]
