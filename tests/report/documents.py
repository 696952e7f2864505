"""Reads reports as their readers do, and holds them to the published schemas."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import jsonschema
from jsonschema import Draft7Validator
from xmlschema import XMLSchema

from buildperm.report import json as report
from buildperm.report import junit, sarif
from buildperm.report.finding import Report

CI_SCHEMA: dict[str, Any] = json.loads(
    (resources.files("buildperm.report") / "ci.schema.json").read_text()
)
JUNIT_SCHEMA = XMLSchema(Path(__file__).parent / "schemas/junit-10.xsd")
SARIF_SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parent / "schemas/sarif-2.1.0.json").read_text("utf-8")
)
SARIF_VALIDATOR = Draft7Validator(SARIF_SCHEMA)

Command = tuple[str, dict[str, str], str]  # Name, properties, message.


def parse_json(told: Report) -> dict[str, Any]:
    """Return the document of a report, which follows its schema."""
    document: dict[str, Any] = json.loads(report.document(told))
    jsonschema.Draft202012Validator(CI_SCHEMA).validate(document)
    return document


def parse_junit(report: Report) -> Element:
    """Return the one suite of a report's document, which follows the schema and counts right."""
    document = junit.document(report)
    JUNIT_SCHEMA.validate(document)
    root = fromstring(document)
    (suite,) = root
    cases = suite.findall("testcase")
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert suite.get(name) == str(len(suite.findall(f"testcase/{tag}")))
    assert suite.get("tests") == str(len(cases))
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "time")} == {
        name: suite.get(name) for name in ("tests", "failures", "errors", "time")
    }
    for case in cases:
        # What Jenkins takes and stricter readers do not: more than one outcome of one case.
        assert sum(case.find(tag) is not None for tag in ("failure", "error", "skipped")) <= 1
        assert len(case.findall("system-out")) <= 1
    return suite


def outcomes(suite: Element) -> dict[str, str]:
    """Return what is written as the outcome of each test case: empty where it passes."""
    return {
        f"{case.get('classname')} {case.get('name')}": next(
            (child.tag for child in case if child.tag != "system-out"), ""
        )
        for case in suite.findall("testcase")
    }


def parse_sarif(report: Report) -> dict[str, Any]:
    """Return the one run of a report's log, which follows the schema."""
    log: dict[str, Any] = json.loads(sarif.document(report))
    SARIF_VALIDATOR.validate(log)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


def parse_commands(output: str) -> list[Command]:
    """Read `output` line by line, as GitHub's runner looks for workflow commands.

    It knows two notations: `::name key=value::message` at the beginning of a line, and an older
    `##[name key=value]message` anywhere in it, which counts only where the first does not.
    """
    found: list[Command] = []
    for line in re.split(r"\r\n|\r|\n", output):
        new = re.match(r"\s*::([^ :]+)(?: ((?:(?!::).)*))?::(.*)", line)
        if new:
            name, properties, message = new.groups()
            pairs = dict(
                pair.split("=", 1) for pair in (properties or "").strip().split(",") if pair
            )
            read = {key: _unescaped(value) for key, value in pairs.items()}
            found.append((name, read, _unescaped(message)))
        elif old := re.search(r"##\[([^\] ]+)[^\]]*\](.*)", line):
            found.append((f"old {old[1]}", {}, old[2]))
    return found


def _unescaped(text: str) -> str:
    for escaped_as, character in (
        ("0D", "\r"),
        ("0A", "\n"),
        ("3A", ":"),
        ("2C", ","),
        ("25", "%"),
    ):
        text = text.replace(f"%{escaped_as}", character)
    return text
