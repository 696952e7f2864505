"""What the report of a build can be written as: one entry a format.

`--format` and `--report`, their help, and what is written follow from this table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from buildperm.report import text
from buildperm.report.finding import Report


@dataclass(frozen=True, slots=True)
class Appendix:
    """What a format also appends to a file that an environment variable names."""

    variable: str
    document: Callable[[Report], str]


@dataclass(frozen=True, slots=True)
class ReportFormat:
    """One way to write a report."""

    name: str
    document: Callable[[Report], str]
    is_exclusive: bool = False  # On standard output it stands alone, or nobody can parse it.
    is_prose: bool = False  # For people: without findings it goes to standard error.
    appendix: Appendix | None = None
    help: str = ""  # A sentence for `--help`, where there is more to know than the name.
    start: bytes = b""  # A regular expression: how each of its documents begins.


# Mostly one of them is wanted, so that the others need not be imported.
def _json(report: Report) -> str:
    from buildperm.report import json

    return json.document(report)


def _sarif(report: Report) -> str:
    from buildperm.report import sarif

    return sarif.document(report)


def _junit(report: Report) -> str:
    from buildperm.report import junit

    return junit.document(report)


def _annotations(report: Report) -> str:
    from buildperm.report import github

    return github.annotations(report)


def _summary(report: Report) -> str:
    from buildperm.report import github

    return github.summary(report)


FORMATS = {
    each.name: each
    for each in (
        ReportFormat(
            "text",
            text.document,
            is_prose=True,
            start=rb"buildperm: (?:(?:FAILED|WARNING)\.|.* held \(|.* was built\.)"
            rb"|buildperm: the grants are wider"
            rb"|Exit code \d+: "
            rb"|[^\n]*\n(?:  gets in through [^\n]*\n)?  (?:ERROR|warning|note): ",
        ),
        ReportFormat(
            "json", _json, is_exclusive=True, start=rb'\{\s*"version": \d+,\s*"buildperm": "'
        ),
        ReportFormat(
            "sarif",
            _sarif,
            is_exclusive=True,
            start=rb'\{[^\n]*"runs": \[\s*\{"tool": \{"driver": \{"name": "buildperm"',
        ),
        ReportFormat(
            "junit",
            _junit,
            is_exclusive=True,
            start=rb'<\?xml [^\n]*\?>\s*<testsuites name="buildperm"',
        ),
        ReportFormat(
            "github",
            _annotations,
            appendix=Appendix("GITHUB_STEP_SUMMARY", _summary),
            help="`github` writes annotations, and the summary to $GITHUB_STEP_SUMMARY.",
            start=rb"::(?:error|warning|notice) file=[^\n]*,title=buildperm%3A ",
        ),
    )
}
"""By name, in the order in which they are offered; the first is what is written unasked."""


def is_report(beginning: bytes) -> bool:
    """Tell whether a file that begins so is a report of buildperm, in whatever format.

    A report without findings may be empty.
    """
    starts = (each.start for each in FORMATS.values() if each.start)
    return not beginning or any(re.match(start, beginning) for start in starts)
