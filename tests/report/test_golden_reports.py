"""The reports for people and for machines, to the byte, for each kind of finding.

After a change on purpose: `python -m pytest tests/report/test_golden_reports.py --snapshot-update`.
The difference of `__snapshots__` is what readers will notice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from syrupy.extensions.single_file import SingleFileSnapshotExtension

from buildperm import __version__
from buildperm.report import github, json, text
from buildperm.report.finding import Report
from buildperm.report.rule_catalogue import CATALOGUE
from tests.report.documents import parse_json

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

RULES = pytest.mark.parametrize("rule", [each.rule for each in CATALOGUE])


class _Text(SingleFileSnapshotExtension):
    _file_extension = "txt"


class _Json(SingleFileSnapshotExtension):
    _file_extension = "json"


class _Markdown(SingleFileSnapshotExtension):
    _file_extension = "md"


def about(report: Report, rule: str) -> Report:
    """Return `report` with the findings of one rule alone."""
    found = tuple(one for one in report.findings if one.rule == rule)
    crates = {(one.crate, one.version) for one in found}
    if rule in ("not-reviewed", "wider-grant", "newly-reviewed", "too-young"):
        exit_code = 0 if rule in ("newly-reviewed", "too-young") else 21
        pending = report.pending if rule == "not-reviewed" else ()
        return replace(
            report, run=None, findings=found, pending=pending, unused=(), exit_code=exit_code
        )
    assert report.run is not None
    scripts = []
    for script in report.run.scripts:
        proposals = tuple(
            each for each in script.findings if any(each.evidence == one.evidence for one in found)
        )
        if (script.crate, script.version) in crates:
            scripts.append(
                replace(
                    script,
                    findings=proposals,
                    failure=script.failure if rule == "failed" else "",
                    dropped=script.dropped if rule == "incomplete" else 0,
                )
            )
    return replace(
        report,
        run=replace(
            report.run,
            scripts=tuple(scripts),
            cargo_exit=101 if rule == "build-failed" else 0,
            failure=report.run.failure if rule == "build-failed" else None,
        ),
        findings=found,
        pending=(),
        unused=report.unused if rule == "unused-grant" else (),
        exit_code={"unused-grant": 22, "incomplete": 0, "build-failed": 101}.get(rule, 20),
    )


def written(report: Report) -> bytes:
    """Return the JSON report, which follows its schema, without the version of today."""
    parse_json(report)
    own = f'"buildperm": "{__version__}"'
    document = json.document(report)
    assert document.count(own) == 1
    return document.replace(own, '"buildperm": "1.2.3"').encode()


@RULES
def test_the_report_for_people(every_rule: Report, rule: str, snapshot: SnapshotAssertion) -> None:
    told = text.document(about(every_rule, rule)).encode()

    assert told == snapshot(extension_class=_Text)


@RULES
def test_the_report_for_machines(
    every_rule: Report, rule: str, snapshot: SnapshotAssertion
) -> None:
    assert written(about(every_rule, rule)) == snapshot(extension_class=_Json)


def test_reports_of_nothing(every_rule: Report, snapshot: SnapshotAssertion) -> None:
    assert every_rule.run is not None
    quiet = replace(every_rule.run, scripts=every_rule.run.scripts[:1], cargo_exit=0, failure=None)
    report = replace(every_rule, run=quiet, findings=(), pending=(), unused=(), exit_code=0)

    assert text.document(report).encode() == snapshot(name="text", extension_class=_Text)
    assert written(report) == snapshot(name="json", extension_class=_Json)


def test_everything_at_once(every_rule: Report, snapshot: SnapshotAssertion) -> None:
    annotated = github.annotations(every_rule).encode()
    summary = github.summary(every_rule).encode()

    assert text.document(every_rule).encode() == snapshot(name="text", extension_class=_Text)
    assert annotated == snapshot(name="annotations", extension_class=_Text)
    assert summary == snapshot(name="summary", extension_class=_Markdown)
