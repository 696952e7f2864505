"""The report as SARIF 2.1.0 (OASIS), for code scanning; section numbers are those of its text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from buildperm import __version__
from buildperm.errors import ExitCode
from buildperm.policy.proposal import Risk
from buildperm.policy.role import SubjectKind
from buildperm.printable import printable, shortened
from buildperm.report import markdown
from buildperm.report.build_run import BuildRun
from buildperm.report.compiling import compiling_text
from buildperm.report.finding import Finding, Level, Report, worst_first
from buildperm.report.manifest_place import uri
from buildperm.report.rule_catalogue import CATALOGUE, RuleText
from buildperm.report.text import count

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

RESULTS_MOST = 25_000
"""Results of one run that GitHub accepts; it keeps the gravest 5,000 of them."""

TEXT_MOST = 1_024
"""Characters of a description that GitHub accepts; messages keep to it as well."""

_LINE_MOST = 2_000  # Characters of one line of Markdown, of one property.
_LINES_MOST = 50  # In one message and one property.
_ROOT = "%SRCROOT%"  # What code scanning calls the root of the repository.
_INDEX = {text.rule: index for index, text in enumerate(CATALOGUE)}
_ESCAPES = str.maketrans({"\\": r"\\", "[": r"\[", "]": r"\]", "{": "{{", "}": "}}"})
_DONE = frozenset(
    {
        ExitCode.OK,
        ExitCode.UNDECIDED,
        ExitCode.REFUSED,
        ExitCode.NOT_REVIEWED,
        ExitCode.UNUSED,
    }
)


def document(report: Report) -> str:
    """Write `report` as one SARIF log with one run, a result on each line."""
    findings = worst_first(report.findings)
    kept = findings[:RESULTS_MOST]
    run = {
        "tool": {
            "driver": {
                "name": "buildperm",
                "semanticVersion": __version__,
                "version": __version__,
                "rules": [_rule(text) for text in CATALOGUE],
            }
        },
        "invocations": [
            {
                "executionSuccessful": report.exit_code in _DONE,
                "exitCode": report.exit_code,
                "toolExecutionNotifications": list(_notifications(report, findings[len(kept) :])),
            }
        ],
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
        "properties": {"workspace": printable(report.workspace), **_terms(report.run)},
    }
    head = json.dumps({"$schema": SCHEMA, "version": "2.1.0"})
    place = {"uri": uri(report.manifest), "uriBaseId": _ROOT}
    results = ",\n".join(json.dumps(_result(finding, place)) for finding in kept)
    # Put together by hand, as the encoder is slow wherever it indents.
    return f'{head[:-1]}, "runs": [\n{json.dumps(run)[:-1]}, "results": [\n{results}\n]}}]}}\n'


def _rule(text: RuleText) -> dict[str, object]:
    return {
        "id": _id(text.rule),
        "name": text.name,
        "shortDescription": {"text": text.short},
        "fullDescription": {"text": text.full},
        "help": {"text": text.help, "markdown": f"{text.full}\n\n{text.help}"},
        "defaultConfiguration": {"level": str(text.level)},
        "properties": {"tags": ["security", "supply-chain", "build-script"]},
    }


def _id(rule: str) -> str:
    return f"buildperm/{printable(rule)}"


def _result(finding: Finding, place: dict[str, str]) -> dict[str, object]:
    rule: dict[str, object] = {"ruleId": _id(finding.rule)}
    if finding.rule in _INDEX:
        rule["ruleIndex"] = _INDEX[finding.rule]
    if finding.risk is not None:
        rule["rank"] = 100.0 * (finding.risk + 1) / len(Risk)
    return {
        **rule,
        "level": str(finding.level),
        "message": {"text": _text(finding), "markdown": _markdown(finding)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": place,
                    "region": {"startLine": max(1, finding.line)},
                },
                "logicalLocations": [
                    {
                        "name": printable(finding.crate),
                        "fullyQualifiedName": printable(f"{finding.crate}@{finding.version}"),
                        "kind": "module",
                    }
                ],
            }
        ],
        "partialFingerprints": {
            "buildperm/v1": finding.fingerprint,
            # The one that GitHub looks at. Left to itself it takes the line, which many share.
            "primaryLocationLineHash": f"{finding.fingerprint}:1",
        },
        "properties": {
            "crate": printable(finding.crate),
            "version": printable(finding.version),
            "by": [
                {"subject": str(role.subject), "consumer": printable(role.consumer)}
                for role in finding.roles[:_LINES_MOST]
            ],
            "way": _lines(finding.way),
            "risk": finding.risk.name.lower() if finding.risk is not None else None,
            "details": _lines(finding.details),
            "remedy": _lines(finding.remedy),
            "command": printable(finding.command),
        },
    }


def _text(finding: Finding) -> str:
    """Write the message; nothing in it is a placeholder (3.11.5) or a link (3.11.6)."""
    sentences = [f"{printable(finding.title)}."]
    if len(finding.way) > 1:
        sentences.append(f"It gets in through {' > '.join(finding.way)}.")
    sentences += finding.details
    # The last sentence is the one that helps: what is cut off stands before it.
    last = f"\nTo go on, run `{shortened(finding.command, 100)}`." if finding.command else ""
    room = TEXT_MOST - len(last)
    lines = "\n".join(printable(sentence) for sentence in sentences)
    escaped = lines.translate(_ESCAPES)
    while len(escaped) > room:
        # Cut before escaping, lest half of an escape is left.
        lines = lines[: len(lines) - max(1, (len(escaped) - room + 1) // 2)]
        escaped = f"{lines.translate(_ESCAPES)}…"
    return escaped + last.translate(_ESCAPES)


def _markdown(finding: Finding) -> str:
    lines = [markdown.code(finding.title, _LINE_MOST)]
    if len(finding.way) > 1:
        lines += ["", f"It gets in through {markdown.code(' > '.join(finding.way), _LINE_MOST)}."]
    if finding.details:
        lines += ["", *markdown.block(finding.details[:_LINES_MOST], _LINE_MOST)]
    if finding.remedy:
        remedy = markdown.block(finding.remedy[:_LINES_MOST], _LINE_MOST, language="toml")
        lines += ["", "It would be allowed by", "", *remedy]
    if finding.command:
        lines += ["", f"To go on, run {markdown.code(finding.command, _LINE_MOST)}."]
    # Placeholders are told apart from braces in Markdown as well (3.11.5).
    return "\n".join(lines).replace("{", "{{").replace("}", "}}")


def _lines(lines: Iterable[str]) -> list[str]:
    return [shortened(line, _LINE_MOST) for line in lines][:_LINES_MOST]


def _notifications(report: Report, left_out: list[Finding]) -> Iterator[dict[str, object]]:
    if left_out:
        yield _notification(
            Level.WARNING,
            f"{count(len(left_out), 'finding')} more did not fit into this file: only the gravest "
            f"{RESULTS_MOST:,} are in it.",
        )
    if report.run is not None and report.run.cargo_exit:
        yield _notification(
            Level.WARNING,
            f"Cargo ended with exit code {report.run.cargo_exit}: build scripts that come later "
            "may not have been run.",
        )
    run = report.run
    loose = compiling_text(run.compiling, run.macros, run.lacking) if run is not None else ""
    if loose:
        yield _notification(Level.WARNING, f"{loose[0].upper()}{loose[1:]}")
    if report.exit_code not in _DONE:
        yield _notification(
            Level.ERROR, f"buildperm ended with exit code {report.exit_code}: see its output."
        )


def _notification(level: Level, text: str) -> dict[str, object]:
    return {"level": str(level), "message": {"text": text}}


def _terms(run: BuildRun | None) -> dict[str, object]:
    """Tell under what terms the build scripts ran."""
    if run is None:
        return {}
    return {
        "runtime": printable(run.runtime),
        "landlockAbi": run.landlock_abi,
        "kernel": printable(run.kernel),
        "leftOpen": _lines(run.left_open),
        **({"root": printable(run.root)} if run.root else {}),
        "buildScripts": sum(SubjectKind.SCRIPT in script.subjects for script in run.scripts),
        "proceduralMacros": sum(SubjectKind.MACRO in script.subjects for script in run.scripts),
        "compiling": run.compiling or None,
        "macros": run.macros or None,
        "cargoExit": run.cargo_exit,
    }
