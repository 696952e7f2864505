"""Grants of one table as rows of the HTML report: who may do what, where that is said, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from buildperm.policy import revision
from buildperm.presentation import explanation_text
from buildperm.presentation.local_rules import here_mark
from buildperm.presentation.wording import risk_word
from buildperm.report.html_page import GrantRow, Severity
from buildperm.report.text import count
from buildperm.workflow.grant_inventory import Grant, GrantTable
from buildperm.workflow.line_history import LineChange
from buildperm.workflow.manifest_lines import ManifestLines


def grant_rows(
    table: GrantTable, lines: ManifestLines, changes: Mapping[int, LineChange]
) -> Iterator[GrantRow]:
    """Yield what a table of Cargo.toml says.

    Args:
        table: The table.
        lines: The Cargo.toml that it stands in.
        changes: Who last changed a line, by line.
    """

    def at(line: int) -> str:
        change = changes.get(line)
        return f"{lines.at(line)}, {change}" if change else lines.at(line)

    if table.not_in_force:
        yield GrantRow(f"not in force: {table.not_in_force}", at(table.line), Severity.MEDIUM, ())
    for grant in table.grants:
        yield GrantRow(f"may {_deed(grant)}", at(grant.line), Severity.CALM, tuple(_remarks(grant)))
    for denial in table.denials:
        action = explanation_text.action_text(denial.rule.kind, [denial.rule.pattern])
        action += here_mark(denial.rule, is_denial=True)
        elsewhere = f" [{denial.key}]" if denial.key != table.key else ""
        yield GrantRow(f"must not {action}", f"{at(denial.line)}{elsewhere}", Severity.LOW, ())
    for name, line in table.consumers:
        yield GrantRow(f"may do so where `{name}` uses its macros", at(line), Severity.CALM, ())
    if table.compile:
        text = f'is compiled with `compile = "{table.compile}"`'
        yield GrantRow(text, at(table.compile_line), Severity.LOW, ())
    for version, line in table.reviewed:
        text = f"{revision.in_words(version)} was reviewed"
        yield GrantRow(text, at(line), Severity.CALM, ())


def _deed(grant: Grant) -> str:
    if grant.rule is None:
        return explanation_text.preset_text(grant.preset)
    action = explanation_text.action_text(grant.rule.kind, [grant.rule.pattern])
    return f"{action}{here_mark(grant.rule)}"


def _remarks(grant: Grant) -> Iterator[str]:
    yield f"{risk_word(grant.risk)} risk: {grant.why}"
    whys = list(dict.fromkeys(each.why for each in grant.withheld))
    if whys:
        parts = "" if grant.rule else f" in {count(len(grant.withheld), 'part')}"
        yield f"not in force{parts}: {'; '.join(whys)}"
    if grant.unused:
        yield f"not used when {', '.join(grant.unused)} was reviewed"
