"""The report as JUnit XML, which every CI server shows: a test case for each build script.

There is no one schema; this keeps to what the `junit-10.xsd` of Jenkins' xUnit plugin and its
stricter relatives have in common: one outcome for each test case.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from buildperm import __version__
from buildperm.policy.role import role_text
from buildperm.printable import printable, shortened
from buildperm.report.build_run import ScriptRun
from buildperm.report.finding import Finding, Level, Report, worst_first
from buildperm.report.rule_catalogue import BUILD_FAILED, FAILED
from buildperm.report.text import count

_LINE_MOST = 2_000  # Characters.
_SHOWN = 200  # Findings told in full for one build script; the others only by their title.


def document(report: Report) -> str:
    """Write `report` as one XML document.

    A finding that makes the command fail is a failure of its build script, or an error where it
    could not be built or buildperm had to end it. What is known of a script that was not run, and
    lets nothing fail, is a skipped test; all else that lets nothing fail stands in the output of
    its script.
    """
    scripts = {(script.crate, script.version): script for script in _scripts(report)}
    versions = {script.crate: script.version for script in scripts.values()}
    by_script: dict[tuple[str, str], list[Finding]] = {}
    for finding in worst_first(report.findings):
        # A grant that is not used is one of all versions.
        version = finding.version or versions.get(finding.crate, "")
        by_script.setdefault((finding.crate, version), []).append(finding)
    root = Element("testsuites", name="buildperm")
    suite = SubElement(root, "testsuite", name=printable(report.workspace) or "workspace")
    properties = SubElement(suite, "properties")
    for name, value in _properties(report):
        SubElement(properties, "property", name=name, value=printable(value))
    outcomes = {"failure": 0, "error": 0, "skipped": 0, "": 0}
    for key in sorted(scripts.keys() | by_script.keys()):
        outcome = _case(suite, key, scripts.get(key), by_script.get(key, []))
        outcomes[outcome] += 1
    totals = {
        "tests": str(sum(outcomes.values())),
        "failures": str(outcomes["failure"]),
        "errors": str(outcomes["error"]),
        "time": _seconds(sum(script.duration_ns for script in scripts.values())),
    }
    root.attrib |= totals
    suite.attrib |= totals | {"skipped": str(outcomes["skipped"])}
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _scripts(report: Report) -> tuple[ScriptRun, ...]:
    return report.run.scripts if report.run else ()


def _properties(report: Report) -> list[tuple[str, str]]:
    told = [("buildperm", __version__), ("exit", str(report.exit_code))]
    if report.run:
        told += [
            ("runtime", report.run.runtime),
            ("landlock_abi", str(report.run.landlock_abi)),
            ("kernel", report.run.kernel),
            ("cargo_exit", str(report.run.cargo_exit)),
            ("compiling", report.run.compiling),
            ("macros", report.run.macros),
            *([("root", report.run.root)] if report.run.root else ()),
        ]
    return told


def _case(
    suite: Element, key: tuple[str, str], script: ScriptRun | None, findings: list[Finding]
) -> str:
    """Add the test case of one build script; return what its outcome is called."""
    crate, version = (printable(part) for part in key)
    case = SubElement(suite, "testcase", name=version or crate, classname=crate)
    if script:
        case.set("time", _seconds(script.duration_ns))
    failing = [finding for finding in findings if finding.level is Level.ERROR]
    others = [finding for finding in findings if finding.level is not Level.ERROR]
    if failing:
        rules = {finding.rule for finding in failing}
        is_error = FAILED in rules or rules == {BUILD_FAILED}
        outcome = "error" if is_error else "failure"
        _outcome(case, outcome, failing)
    elif others and script is None:
        outcome = "skipped"
        _outcome(case, outcome, others)
        others = []
    else:
        outcome = ""
    told = _output(script, findings, others)
    if told:
        SubElement(case, "system-out").text = "\n".join(told)
    return outcome


def _outcome(case: Element, name: str, findings: list[Finding]) -> None:
    first = findings[0]
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    element = SubElement(
        case,
        name,
        type=f"buildperm/{printable(first.rule)}",
        message=shortened(first.title, _LINE_MOST) + more,
    )
    element.text = "\n".join(_failure_lines(findings))


def _output(script: ScriptRun | None, findings: list[Finding], others: list[Finding]) -> list[str]:
    way = script.way if script else next((one.way for one in findings if one.way), ())
    told = [f"way: {shortened(' > '.join(way), _LINE_MOST)}"] if way else []
    roles = role_text(script.roles) if script else ""
    told += [f"ran: {shortened(roles, _LINE_MOST)}"] if roles else []
    if script:
        accesses = count(script.accesses, "access", "accesses")
        told.append(f"{count(script.events, 'event')}, {accesses}")
    return told + _failure_lines(others)


def _failure_lines(findings: list[Finding]) -> list[str]:
    lines: list[str] = []
    for number, finding in enumerate(findings):
        lines.append(f"{finding.level}: {finding.title}")
        if number >= _SHOWN:
            continue
        lines += (f"  {detail}" for detail in finding.details)
        if finding.remedy:
            lines.append("  would be allowed by:")
            lines += (f"    {line}" for line in finding.remedy)
    lines += dict.fromkeys(f"next: {one.command}" for one in findings if one.command)
    return [shortened(line, _LINE_MOST) for line in lines]


def _seconds(duration_ns: int) -> str:
    return f"{max(0, duration_ns) / 1e9:.3f}"
