"""SARIF: always valid by its schema, and a finding is recognised the next time."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from jsonschema import Draft7Validator

from buildperm.printable import printable
from buildperm.report import findings, sarif
from buildperm.report.build_run import BuildRun
from buildperm.report.finding import Finding, Level, Report
from buildperm.report.manifest_place import GrantLines
from buildperm.report.rule_catalogue import CATALOGUE
from tests.report.documents import SARIF_SCHEMA, parse_sarif
from tests.report.rendered_markdown import code, escaped
from tests.report.report_strategies import REPORTS
from tests.report.reports import CARGO_TOML, many

LINES = CARGO_TOML.decode().splitlines()


def plain(text: str) -> str:
    """Return the text of a message as a viewer shows it; fail where it is more than text."""
    bare = re.sub(r"\\[\\\[\]]|\{\{|\}\}", "", text)
    assert not set("[]{}\\") & set(bare), "a link (3.11.6) or a placeholder (3.11.5)"
    return re.sub(r"\\([\\\[\]])|(\{)\{|(\})\}", r"\1\2\3", text)


def marks(found: list[Finding]) -> list[tuple[str, dict[str, str]]]:
    """Return what an alert is recognised by, of each finding."""
    report = Report(None, tuple(found), "demo", "Cargo.toml", 20)
    return [
        (each["ruleId"], each["partialFingerprints"]) for each in parse_sarif(report)["results"]
    ]


def test_every_rule_of_the_catalogue_is_there_once_and_found_by_its_results(
    every_rule: Report,
) -> None:
    Draft7Validator.check_schema(SARIF_SCHEMA)

    run = parse_sarif(every_rule)

    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [f"buildperm/{text.rule}" for text in CATALOGUE]
    assert len({rule["name"] for rule in rules}) == len(rules)
    results = run["results"]
    assert len(results) == len(every_rule.findings)
    assert {each["ruleId"] for each in results} == {rule["id"] for rule in rules}
    for each in results:
        assert rules[each["ruleIndex"]]["id"] == each["ruleId"]


def test_ids_of_rules_are_what_people_have_written_into_their_filters() -> None:
    # They never change: an alert whose rule has got another name is another alert.
    assert [f"buildperm/{text.rule}" for text in CATALOGUE] == [
        "buildperm/read",
        "buildperm/write",
        "buildperm/exec",
        "buildperm/net",
        "buildperm/env",
        "buildperm/directives",
        "buildperm/system",
        "buildperm/failed",
        "buildperm/build-failed",
        "buildperm/incomplete",
        "buildperm/leads-out",
        "buildperm/not-opened",
        "buildperm/not-reviewed",
        "buildperm/unused-grant",
        "buildperm/wider-grant",
        "buildperm/newly-reviewed",
        "buildperm/too-young",
    ]


@pytest.mark.parametrize("rule", [text.rule for text in CATALOGUE])
def test_a_report_of_one_rule_alone_is_valid(every_rule: Report, rule: str) -> None:
    found = tuple(one for one in every_rule.findings if one.rule == rule)

    results = parse_sarif(replace(every_rule, findings=found))["results"]

    assert [each["ruleId"] for each in results] == [f"buildperm/{rule}"] * len(found)
    assert [each["level"] for each in results] == [str(one.level) for one in found]


def test_a_finding_says_who_did_what_how_it_got_in_and_how_to_go_on(every_rule: Report) -> None:
    (read,) = (
        one for one in parse_sarif(every_rule)["results"] if one["ruleId"] == "buildperm/read"
    )

    text = plain(read["message"]["text"])
    assert text.startswith(
        "left-padding 1.0.0 was not allowed to read keys.\n"
        "It gets in through app > pad > left-padding.\n"
        "It holds a private key.\n"
        "It can only be granted by hand.\n"
        "read $HOME/.ssh/id_0: refused, by build-script > sh > curl\n"
    )
    assert text.endswith("\nTo go on, run `buildperm review`.")
    assert read["rank"] == 100.0
    assert read["properties"]["crate"] == "left-padding"
    assert read["properties"]["risk"] == "critical"
    assert read["properties"]["way"] == ["app", "pad", "left-padding"]
    assert read["properties"]["remedy"] == []


@pytest.mark.parametrize(
    ("rule", "crate", "line"),
    [
        ("exec", "openssl-sys", "exec = ["),
        ("failed", "openssl-sys", "[workspace.metadata.buildperm.crates.openssl-sys]"),
        ("read", "left-padding", 'pad = "1"'),
        ("net", "greedy", "[workspace.metadata.buildperm]"),
        ("unused-grant", "ring", 'env = ["RING_*"]'),
    ],
)
def test_a_finding_stands_at_the_line_that_decides_it(
    every_rule: Report, rule: str, crate: str, line: str
) -> None:
    (place,) = (
        each["locations"][0]
        for each in parse_sarif(every_rule)["results"]
        if each["ruleId"] == f"buildperm/{rule}" and each["properties"]["crate"] == crate
    )

    physical = place["physicalLocation"]
    assert LINES[physical["region"]["startLine"] - 1] == line
    assert physical["artifactLocation"] == {"uri": "rust/Cargo.toml", "uriBaseId": "%SRCROOT%"}
    assert place["logicalLocations"][0]["name"] == crate


def test_an_alert_is_recognised_over_versions_and_lines(held: BuildRun) -> None:
    here = GrantLines(CARGO_TOML, Path("Cargo.toml"))
    moved = GrantLines(b"\n\n\n# moved\n" + CARGO_TOML, Path("Cargo.toml"))
    newer = tuple(replace(script, version="7.0.0", events=99) for script in held.scripts)

    before = findings.from_build(held, here)
    after = findings.from_build(replace(held, scripts=newer), moved)

    assert [one.line for one in before] != [one.line for one in after]
    assert [one.title for one in before] != [one.title for one in after]
    assert marks(before) == marks(after)


def test_two_alerts_are_told_apart(every_rule: Report) -> None:
    found = list(every_rule.findings)
    for part in ("buildperm/v1", "primaryLocationLineHash"):
        written = [fingerprints[part] for _, fingerprints in marks(found)]

        assert len(set(written)) == len(written) == len(found)


def test_what_people_filter_by_does_not_depend_on_the_order_of_findings(every_rule: Report) -> None:
    turned = replace(every_rule, findings=every_rule.findings[::-1])

    assert sarif.document(turned) == sarif.document(every_rule)


def test_a_report_of_nothing_is_a_run_that_found_nothing(held: BuildRun) -> None:
    run = parse_sarif(Report(replace(held, scripts=(), cargo_exit=0), (), "demo", "Cargo.toml", 0))

    assert run["results"] == []  # Not left out: then nothing would have been looked for (3.14.23).
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"]
    assert invocation["toolExecutionNotifications"] == []


def test_a_command_that_built_nothing_says_so(every_rule: Report) -> None:
    report = replace(every_rule, run=None, exit_code=21)

    run = parse_sarif(report)

    assert run["invocations"][0]["exitCode"] == 21
    assert run["invocations"][0]["executionSuccessful"]
    assert "kernel" not in run["properties"]


def test_a_build_that_cargo_ended_is_told_beside_the_findings(every_rule: Report) -> None:
    assert every_rule.run is not None
    failed = replace(every_rule, exit_code=101)

    (invocation,) = parse_sarif(failed)["invocations"]

    assert not invocation["executionSuccessful"]
    told = [each["message"]["text"] for each in invocation["toolExecutionNotifications"]]
    assert any("Cargo ended with exit code 101" in text for text in told)


def test_a_hostile_report_is_valid_and_its_text_is_only_text(hostile: Report) -> None:
    (result,) = parse_sarif(hostile)["results"]

    assert hostile.findings[0].title.startswith("\x1b[31m|`a``b```{0}[x](y)")
    assert plain(result["message"]["text"]).startswith("%1B[31m|`a``b```{0}[x](y)<script>")
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 1


@given(REPORTS)
def test_whatever_is_in_a_report_the_log_is_valid(report: Report) -> None:
    run = parse_sarif(report)

    assert len(run["results"]) == len(report.findings)
    for result in run["results"]:
        message = result["message"]
        assert len(message["text"]) <= sarif.TEXT_MOST
        assert plain(message["text"]).replace("\n", "").isprintable()
        assert re.sub(r"\{\{|\}\}", "", message["markdown"]).find("{") == -1
        source = message["markdown"].replace("{{", "{").replace("}}", "}")
        assert not escaped(source)
        assert result["ruleId"].startswith("buildperm/")


@given(REPORTS)
def test_the_markdown_of_a_finding_shows_all_of_it(report: Report) -> None:
    for finding in report.findings:
        (result,) = parse_sarif(replace(report, findings=(finding,)))["results"]
        shown = "\n".join(code(result["message"]["markdown"].replace("{{", "{").replace("}}", "}")))

        for text in (finding.title, *finding.details, *finding.remedy, finding.command):
            assert printable(text).strip() in shown


def test_a_long_message_is_cut_before_the_sentence_that_helps(every_rule: Report) -> None:
    long = replace(every_rule.findings[0], details=("[" * 3_000,) * 40, title="{" * 3_000)

    (result,) = parse_sarif(replace(every_rule, findings=(long,)))["results"]

    text = result["message"]["text"]
    assert len(text) <= sarif.TEXT_MOST
    assert plain(text).endswith("{…\nTo go on, run `buildperm review`.")
    assert len(result["properties"]["details"]) <= 50


@pytest.mark.slow
def test_ten_thousand_findings_are_all_there() -> None:
    results = parse_sarif(many(10_000))["results"]

    assert len(results) == 10_000
    assert len({each["partialFingerprints"]["buildperm/v1"] for each in results}) == 10_000
    ranks = [(each["level"] != "error", -each["rank"]) for each in results]
    assert ranks == sorted(ranks)  # GitHub keeps the first of those that weigh the same.


@pytest.mark.slow
def test_what_no_run_may_hold_is_left_out_and_counted() -> None:
    log = json.loads(sarif.document(many(sarif.RESULTS_MOST + 3)))

    (run,) = log["runs"]
    assert len(run["results"]) == sarif.RESULTS_MOST
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert "3 findings more did not fit" in told["message"]["text"]
    half = (sarif.RESULTS_MOST + 3) // 2  # Of the findings are errors: all of these are kept.
    assert [each["level"] for each in run["results"]].count("error") == half


def test_levels_are_those_of_the_findings(every_rule: Report) -> None:
    for level in Level:
        found = (replace(every_rule.findings[0], level=level),)

        (result,) = parse_sarif(replace(every_rule, findings=found))["results"]

        assert result["level"] == str(level)
