"""GitHub: only our own workflow commands, within its limits, and a summary that is inert."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given

from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Risk
from buildperm.printable import printable
from buildperm.report import github, refused_text, text
from buildperm.report.finding import Finding, Level, Report
from buildperm.report.rule_catalogue import CATALOGUE
from tests.report.documents import parse_commands
from tests.report.rendered_markdown import code, escaped, tokens
from tests.report.report_strategies import REPORTS
from tests.report.reports import access, many

_REJECTED = 1 << 20  # Bytes of a summary from which on GitHub shows nothing of it.


def test_an_annotation_stands_at_the_grant_and_says_all_in_its_message(every_rule: Report) -> None:
    found = parse_commands(github.annotations(every_rule))

    (read,) = (each for each in found if "read keys" in each[1]["title"])
    assert read[0] == "error"
    assert read[1] == {
        "file": "rust/Cargo.toml",
        "line": "5",
        "title": "buildperm: left-padding 1.0.0 was not allowed to read keys",
    }
    lines = read[2].splitlines()
    assert lines[:3] == [
        "left-padding 1.0.0 was not allowed to read keys",
        "It gets in through app > pad > left-padding.",
        "It holds a private key.",
    ]
    assert lines[-1] == "Next: buildperm review"


@pytest.mark.parametrize("rule", [each.rule for each in CATALOGUE])
def test_every_rule_has_its_annotation_and_its_place_in_the_summary(
    every_rule: Report, rule: str
) -> None:
    found = tuple(one for one in every_rule.findings if one.rule == rule)
    report = replace(every_rule, findings=found)

    annotated = parse_commands(github.annotations(report))
    shown = code(github.summary(report))

    crates = {finding.crate for finding in found}
    assert len(annotated) == len(crates)
    words = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}
    assert {name for name, *_ in annotated} == {words[found[0].level]}
    for finding in found:
        if refused_text.is_refusal(finding):
            assert refused_text.shown_target(finding.evidence[0]) in "".join(shown)
        else:
            assert finding.title in shown
            assert f"buildperm/{rule}" in shown
        assert any(f"Cargo.toml:{finding.line}" in each for each in shown)


def test_findings_of_one_crate_and_rule_are_one_annotation(every_rule: Report) -> None:
    found = parse_commands(github.annotations(every_rule))

    unused = [each for each in found if "openssl-sys 0.9.104 is granted" in each[1]["title"]]
    assert len(unused) == 1
    assert unused[0][1]["title"].endswith(" (and 1 more)")


def test_a_report_of_nothing_has_no_annotation_and_a_summary_that_says_so(
    every_rule: Report,
) -> None:
    report = replace(every_rule, findings=(), exit_code=0)

    assert github.annotations(report) == ""
    assert github.summary(report).splitlines() == [
        "## buildperm: `demo`",
        "",
        "4 build scripts held to grants by `portable`, Landlock ABI 7.",
        "Nothing to report.",
    ]


def test_a_command_that_built_nothing_tells_what_is_not_reviewed(every_rule: Report) -> None:
    found = tuple(one for one in every_rule.findings if one.rule == "not-reviewed")
    summary = github.summary(Report(None, found, "demo", "Cargo.toml", 21))

    assert "2 errors in 2 crates. Exit code 21." in summary
    assert "held to grants" not in summary
    assert "the build script of openssl-sys 0.9.118 was not reviewed as it is now" in summary


def test_the_summary_unfolds_each_crate_with_evidence_and_remedy(every_rule: Report) -> None:
    summary = github.summary(every_rule)

    assert not escaped(summary)
    shown = code(summary)
    row = r" run +pkg-config +run pkg-config \(6 times\)\n +as curl x\n +by build-script > sh"
    assert re.search(row, "".join(shown))
    assert any('presets = ["cc", "pkg-config"]\n' in each for each in shown)
    assert "app > pad > left-padding" in shown
    unfolded = re.findall(r"<summary><code>(.*)</code>: (\d+) findings?</summary>", summary)
    assert sum(int(number) for _, number in unfolded) == len(every_rule.findings)
    assert ("left-padding 1.0.0", "1") in unfolded
    assert summary.count("<details>") == summary.count("</details>") == len(unfolded)


def test_a_hostile_report_gives_no_command_but_ours_and_no_markup(hostile: Report) -> None:
    (found,) = parse_commands(github.annotations(hostile))
    title = printable(hostile.findings[0].title)

    assert found[0] == "error"
    assert found[1]["title"] == f"buildperm: {title}"
    assert found[1]["file"] == title
    assert found[1]["line"] == "1"
    assert found[2].startswith(f"{title}\nIt gets in through {title} > {title}.\n")
    assert not escaped(github.summary(hostile))


@given(REPORTS)
def test_whatever_is_in_a_report_every_line_is_one_of_our_commands(report: Report) -> None:
    output = github.annotations(report)

    found = parse_commands(output)
    groups = {(finding.crate, finding.rule) for finding in report.findings}
    assert len(found) == len(groups) == len(output.splitlines())
    titles = {printable(f"buildperm: {finding.title}").rstrip() for finding in report.findings}
    for name, properties, message in found:
        assert name in ("error", "warning", "notice")
        assert list(properties) == ["file", "line", "title"]
        assert properties["file"] == printable(report.manifest)
        assert any(properties["title"].startswith(title[:200]) for title in titles)
        assert len(message) <= 4_000
        assert message.replace("\n", "").isprintable()


@given(REPORTS)
def test_whatever_is_in_a_report_the_summary_shows_it_as_code(report: Report) -> None:
    summary = github.summary(report)

    assert not escaped(summary)
    shown = "\n".join(code(summary))
    for finding in report.findings:
        if refused_text.is_refusal(finding):
            told = [*map(refused_text.shown_target, finding.evidence[:10])]
        else:
            told = [finding.title, *finding.details, *finding.remedy]
        for each in told:
            assert printable(each).strip() in shown
    markup = [token.content for token in tokens(summary) if token.type == "html_block"]
    crates = {(finding.crate, finding.version) for finding in report.findings}
    assert len(markup) == 2 * len(crates)


@given(REPORTS)
def test_the_text_that_may_stand_beside_the_annotations_holds_no_command(report: Report) -> None:
    assert parse_commands(text.document(report)) == []


def test_an_older_workflow_command_in_a_text_is_written_in_notation(every_rule: Report) -> None:
    crate = "::stop-commands::x"
    forged = replace(every_rule.findings[0], title="x ##[add-mask]e", crate=crate, evidence=())
    touched = access(Kind.READ, "##[add-mask]e")
    refused = replace(every_rule.findings[0], crate=crate, evidence=(touched,), risk=Risk.LOW)

    for finding in (forged, refused):
        told = text.document(replace(every_rule, findings=(finding,)))

        assert " %23%23[add-mask]e" in told
        assert "\n%3A%3Astop-commands::x" in f"\n{told}"
        assert not any(line.startswith(("::", "##")) for line in told.splitlines())


def of_level(level: Level) -> Report:
    return many(400, lambda finding: replace(finding, level=level))


def test_annotations_keep_to_what_github_shows_and_count_the_others() -> None:
    def mixed(finding: Finding) -> Finding:
        return replace(finding, crate=finding.crate + str(finding.level))

    output = github.annotations(many(10_000, mixed))

    names = [name for name, *_ in parse_commands(output)]
    assert names == ["error"] * 10 + ["warning"] * 10
    (told,) = (line for line in output.splitlines() if not line.startswith("::"))
    assert told.startswith("buildperm: 1,980 annotations more left out, as GitHub shows 10 ")


@pytest.mark.parametrize("level", Level)
def test_no_level_takes_the_annotations_of_another(level: Level) -> None:
    found = parse_commands(github.annotations(of_level(level)))

    assert len(found) == github.ANNOTATIONS_MOST == 10
    assert len({properties["title"] for _, properties, _ in found}) == 10


def test_the_gravest_are_those_that_are_annotated() -> None:
    found = parse_commands(github.annotations(many(10_000)))

    # `many` gives the highest of four risks to each fourth finding, which is an error.
    numbers = [int(re.findall(r"program-(\d+)", each[1]["title"])[0]) for each in found]
    assert {number % 4 for number in numbers} == {3}


def test_ten_thousand_findings_fit_into_one_summary_and_the_rest_is_counted() -> None:
    summary = github.summary(many(10_000, lambda finding: replace(finding, evidence=())))

    assert len(summary.encode()) <= github.SUMMARY_MOST < _REJECTED
    assert len(summary.encode()) > github.SUMMARY_MOST // 2  # What fits is used.
    assert "5,000 errors, 5,000 warnings in 1,000 crates." in summary
    unfolded = len(re.findall(r"^\*\*(?:error|warning)\*\* ", summary, re.MULTILINE))
    (left_out,) = re.findall(r"\*\*([0-9,]+) findings of [0-9,]+ crates left out\*\*", summary)
    assert unfolded + int(left_out.replace(",", "")) == 10_000
    assert "And 9,900 more, below." in summary
    assert summary.count("<details>") == summary.count("</details>")
    assert not escaped(summary.partition("\n\n**")[0])


def test_ten_thousand_refusals_fit_into_one_summary() -> None:
    summary = github.summary(many(10_000))

    assert len(summary.encode()) <= github.SUMMARY_MOST
    assert "findings of " in summary
    assert not escaped(summary.partition("\n\n**")[0])


def test_long_texts_do_not_burst_the_summary() -> None:
    def long(finding: Finding) -> Finding:
        details = ("`" * 9_000,) * 90
        return replace(finding, title="\U0001f980" * 9_000, details=details, evidence=())

    summary = github.summary(many(1_000, long))

    assert len(summary.encode()) <= github.SUMMARY_MOST
    assert "left out**" in summary
    assert "40 lines more" in summary


def test_one_crate_that_does_not_fit_keeps_none_of_the_others_out() -> None:
    def odd(finding: Finding) -> Finding:
        is_first = finding.crate == "crate-0"
        return replace(finding, details=("x" * 2_000,) * 50) if is_first else finding

    summary = github.summary(many(400, odd))

    assert len(summary.encode()) <= github.SUMMARY_MOST
    assert "<code>crate-39 1.0.0</code>" in summary
