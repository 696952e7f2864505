"""JUnit: always valid by its schema, with one outcome for each build script."""

from __future__ import annotations

from dataclasses import replace
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given

from buildperm.printable import printable
from buildperm.report import junit
from buildperm.report.build_run import BuildRun
from buildperm.report.finding import Finding, Level, Report
from buildperm.report.rule_catalogue import CATALOGUE
from tests.report.documents import outcomes, parse_junit
from tests.report.report_strategies import REPORTS
from tests.report.reports import many


def only(suite: Element, crate: str) -> Element:
    (case,) = (case for case in suite.findall("testcase") if case.get("classname") == crate)
    return case


def test_every_build_script_is_a_test_case_with_one_outcome(every_rule: Report) -> None:
    suite = parse_junit(every_rule)

    assert suite.get("name") == "demo"
    assert outcomes(suite) == {
        "all build scripts all build scripts": "failure",
        "anyhow 1.0.0": "",
        "fresh 1.0.0": "failure",
        "greedy 1.0.0": "failure",
        "left-padding 1.0.0": "failure",
        "no-rust 1.0.0": "error",  # Nobody knows what it would have done.
        "openssl-sys 0.9.104": "error",  # buildperm had to fail it.
        "openssl-sys 0.9.118": "failure",
        "ring ring": "skipped",  # No script of that name ran, so nothing has passed.
    }


def test_a_failure_says_why_and_how_to_go_on(every_rule: Report) -> None:
    failure = only(parse_junit(every_rule), "left-padding").find("failure")

    assert failure is not None
    assert failure.get("type") == "buildperm/read"
    assert failure.get("message") == "left-padding 1.0.0 was not allowed to read keys"
    lines = (failure.text or "").splitlines()
    assert lines[:3] == [
        "error: left-padding 1.0.0 was not allowed to read keys",
        "  It holds a private key.",
        "  It can only be granted by hand.",
    ]
    assert lines[-1] == "next: buildperm review"


def test_what_would_allow_it_is_in_the_failure(every_rule: Report) -> None:
    errors = parse_junit(every_rule).iter("error")
    (error,) = (each for each in errors if each.get("type") != "buildperm/build-failed")

    assert '    # presets = ["cc", "pkg-config"]' in (error.text or "").splitlines()
    assert (error.get("message") or "").endswith(" (and 2 more)")


@pytest.mark.parametrize("rule", [text.rule for text in CATALOGUE])
def test_a_report_of_one_rule_alone_is_valid(every_rule: Report, rule: str) -> None:
    found = tuple(one for one in every_rule.findings if one.rule == rule)

    written = junit.document(replace(every_rule, findings=found))

    parse_junit(replace(every_rule, findings=found))
    for finding in found:
        assert f": {finding.title}\n" in written or f'message="{finding.title}' in written


def test_the_way_into_the_graph_and_the_size_of_a_run_are_told(every_rule: Report) -> None:
    case = only(parse_junit(every_rule), "greedy")

    assert case.get("time") == "1.500"
    told = (case.findtext("system-out") or "").splitlines()
    assert told[:2] == ["way: app > greedy", "7 events, 7 accesses"]
    assert any(line.startswith("warning: 1,200 events did not fit") for line in told)


def test_what_lets_nothing_fail_lets_no_test_fail(every_rule: Report) -> None:
    warned = tuple(replace(one, level=Level.WARNING) for one in every_rule.findings)

    suite = parse_junit(replace(every_rule, findings=warned))

    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
    assert set(outcomes(suite).values()) == {"", "skipped"}
    written = "".join(suite.itertext())
    assert all(finding.title in written for finding in warned)


def test_a_report_of_nothing_has_a_passed_test_for_each_script(held: BuildRun) -> None:
    quiet = replace(held, scripts=held.scripts[:1], cargo_exit=0)

    suite = parse_junit(Report(quiet, (), "demo", "Cargo.toml", 0))

    assert outcomes(suite) == {"anyhow 1.0.0": ""}
    properties = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert properties["runtime"] == "portable"
    assert properties["exit"] == "0"
    parse_junit(Report(replace(quiet, scripts=()), (), "", "Cargo.toml", 0))


def test_a_command_that_built_nothing_has_a_failure_for_each_script(every_rule: Report) -> None:
    found = tuple(one for one in every_rule.findings if one.rule == "not-reviewed")

    suite = parse_junit(Report(None, found, "demo", "Cargo.toml", 21))

    assert outcomes(suite) == {"fresh 1.0.0": "failure", "openssl-sys 0.9.118": "failure"}
    assert "kernel" not in {each.get("name") for each in suite.iter("property")}


def test_a_hostile_report_is_valid(hostile: Report) -> None:
    suite = parse_junit(hostile)

    (case,) = suite.findall("testcase")
    title = printable(hostile.findings[0].title)
    assert case.get("name") == title
    assert (case.findtext("failure") or "").startswith(f"error: {title}\n")


@given(REPORTS)
def test_whatever_is_in_a_report_the_document_is_valid_and_whole(report: Report) -> None:
    suite = parse_junit(report)

    written = "".join(suite.itertext())
    for finding in report.findings:
        for text in (finding.title, *finding.details, *finding.remedy):
            assert printable(text) in written


def test_ten_thousand_findings_are_all_counted() -> None:
    suite = parse_junit(many(10_000))

    assert suite.get("tests") == "1000"
    written = "".join(suite.itertext())
    assert written.count(" was refused to run program-") == 10_000


def test_one_script_with_ten_thousand_findings_is_told_at_a_bounded_length() -> None:
    def of_one_crate(finding: Finding) -> Finding:
        return replace(finding, crate="one", level=Level.ERROR, details=("x" * 3_000,) * 20)

    report = many(10_000, of_one_crate)

    written = junit.document(report)
    suite = parse_junit(report)
    assert outcomes(suite) == {"one 1.0.0": "failure"}
    assert written.count("error: crate-") == 10_000
    assert len(written) < 10 << 20
