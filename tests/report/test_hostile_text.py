"""No report carries what could move a cursor, forge a line or turn a text around."""

from __future__ import annotations

import json as standard_json
from collections.abc import Callable

import pytest
from hypothesis import given

from buildperm.printable import is_visible
from buildperm.report import github, json, junit, sarif, text
from buildperm.report.finding import Report
from tests.report.report_strategies import REPORTS

DOCUMENTS = pytest.mark.parametrize(
    "write",
    [
        json.document,
        sarif.document,
        junit.document,
        github.annotations,
        github.summary,
        text.document,
    ],
    ids=["json", "sarif", "junit", "annotations", "summary", "text"],
)


def is_clean(document: str) -> bool:
    """Tell whether `document` is printable lines, all of which end."""
    return is_visible(document.replace("\n", "")) and document[-1:] in ("", "\n")


@DOCUMENTS
def test_a_hostile_report_is_clean_in_every_format(
    hostile: Report, write: Callable[[Report], str]
) -> None:
    assert is_clean(write(hostile))


@DOCUMENTS
@given(report=REPORTS)
@pytest.mark.quick(3)
def test_every_format_is_clean_whatever_a_report_holds(
    report: Report, write: Callable[[Report], str]
) -> None:
    assert is_clean(write(report))


@given(REPORTS)
def test_the_json_report_says_exactly_what_it_was_given(report: Report) -> None:
    told = standard_json.loads(json.document(report))

    assert sorted(finding["title"] for finding in told["findings"]) == sorted(
        # Half of a pair, then the other one, is one character to whoever reads JSON.
        standard_json.loads(standard_json.dumps(finding.title))
        for finding in report.findings
    )
