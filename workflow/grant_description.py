"""Grants in plain lines: who may do what, why, since when, and what of it is not in force."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from buildperm.policy import expiry, lock_file, revision
from buildperm.policy.access import Outcome
from buildperm.policy.compilation import WithheldRule
from buildperm.policy.kinds import Kind
from buildperm.policy.presets import PRESETS
from buildperm.policy.role import SubjectKind
from buildperm.policy.rule import Rule
from buildperm.policy.snapshot import SeenAccess
from buildperm.presentation import explanation_text
from buildperm.presentation.local_rules import here_mark
from buildperm.presentation.wording import risk_word
from buildperm.printable import shown
from buildperm.workflow import evidence
from buildperm.workflow.grant_inventory import Grant, GrantTable, LentGrant, RequestAccount
from buildperm.workflow.line_history import LineChange
from buildperm.workflow.manifest_lines import ManifestLines

_MOST_SEEN = 12  # Targets on one line.
_MOST_WITHHELD = 6


@dataclass(frozen=True, slots=True)
class GrantDescription:
    """Describes tables of grants."""

    lines: ManifestLines
    changes: Mapping[int, LineChange]  # By line of Cargo.toml.
    is_asked: bool  # The user named crates.

    def text(self, found: Iterable[GrantTable]) -> Iterator[str]:
        for table in found:
            yield from self._table(table)
            yield ""

    def _table(self, table: GrantTable) -> Iterator[str]:
        yield _title(table)
        for way in dict.fromkeys(script.way for script in table.scripts):
            if len(way) > 1:
                yield f"  gets in through {' > '.join(way)}"
        if table.not_in_force:
            yield f"  not in force: {table.not_in_force} ({self.lines.at(table.line)})"
        for grant in table.grants:
            yield from self._grant(grant)
        yield from self._consumers(table)
        for denial in table.denials:
            action = explanation_text.action_text(denial.rule.kind, [denial.rule.pattern])
            yield f"  may not {action}{here_mark(denial.rule, is_denial=True)}"
            other = f" [{shown(denial.key)}]" if denial.key != table.key else ""
            yield f"      {self._at(denial.line)}{other}"
        for account in table.requests:
            yield from _request(account)
        for lent in table.lent:
            yield from _lent(lent)
        if not (table.grants or table.denials or table.lent):
            yield "  is granted nothing beyond the baseline"
        if table.compile:
            yield f'  is compiled with `compile = "{table.compile}"`'
            yield f"      {self._at(table.compile_line)}"
        if table.reason:
            yield f"  reason: {shown(table.reason)}"
            yield f"      {self._at(table.reason_line)}"
        if table.expires is not None:
            over = expiry.is_over(table.expires, expiry.today())
            told = "which is over: none of it is in force" if over else "that day included"
            yield f"  is granted this until {table.expires}, {told}"
            yield f"      {self._at(table.expires_line)}"
        for version, line in table.reviewed:
            yield f"  {revision.in_words(version)} was reviewed"
            yield f"      {self._at(line)}"
        if self.is_asked:
            yield from _seen(table)

    def _consumers(self, table: GrantTable) -> Iterator[str]:
        """Say where macros have the grants."""
        if not any(SubjectKind.MACRO in script.subjects for script in table.scripts):
            return
        if table.grants:
            yield "  its macros may do so where packages of this workspace use them"
        for name, line in table.consumers:
            yield f"  and where `{shown(name)}` uses them"
            yield f"      {self._at(line)}"

    def _grant(self, grant: Grant) -> Iterator[str]:
        if grant.rule is None:
            yield f"  may {explanation_text.preset_text(grant.preset)}"
        else:
            action = explanation_text.action_text(grant.rule.kind, [grant.rule.pattern])
            yield f"  may {action}{here_mark(grant.rule)}"
        yield f"      {self._at(grant.line)}"
        yield f"      {risk_word(grant.risk)} risk: {shown(grant.why)}"
        if grant.rule is None and self.is_asked:
            preset = PRESETS[grant.preset]
            yield f"      covers {preset.covers}"
            yield f"      leaves out {preset.leaves_out}"
        for why, group in groupby(sorted(grant.withheld, key=_why), key=_why):
            yield f"      not in force{_parts(grant, group)}: {shown(why)}"
        if grant.unused:
            yield f"      not used when {', '.join(grant.unused)} was reviewed"

    def _at(self, line: int) -> str:
        change = self.changes.get(line)
        return f"{self.lines.at(line)}, {change}" if change else self.lines.at(line)


def _request(account: RequestAccount) -> Iterator[str]:
    """Say what a crate asks for itself, and where that and what it does differ."""
    request = account.request
    yield f"  asks for itself, which grants nothing ({shown(account.package)}):"
    for asked in request.everything():
        mark = " (!) not seen doing it" if asked in (account.unseen or ()) else ""
        yield f"      to {_asked_text(asked)}{mark}"
    if request.reason:
        yield f"      it says: {shown(request.reason)}"
    if request.unread:
        yield f"      cannot be read: {', '.join(request.unread)}"
    for seen in account.unasked[:_MOST_SEEN]:
        text = explanation_text.action_text(seen.kind, [seen.target])
        yield f"      (!) was seen, and does not ask for it: to {text}"
    if len(account.unasked) > _MOST_SEEN:
        yield f"      (!) and {len(account.unasked) - _MOST_SEEN} more"


def _asked_text(asked: Rule | str) -> str:
    if isinstance(asked, str):
        return explanation_text.preset_text(asked)
    return explanation_text.action_text(asked.kind, [asked.pattern])


def _lent(lent: LentGrant) -> Iterator[str]:
    if lent.rule is None:
        text = explanation_text.preset_text(lent.preset)
    else:
        text = explanation_text.action_text(lent.rule.kind, [lent.rule.pattern])
        text += here_mark(lent.rule, is_denial=lent.is_denial)
    yield f"  {'may not' if lent.is_denial else 'may'} {text}"
    yield f"      imported: {shown(lent.file)}, from {shown(lent.origin)}"
    if lent.why:
        yield f"      not in force: {shown(lent.why)}"


def _title(table: GrantTable) -> str:
    packages = dict.fromkeys(script.title for script in table.scripts)
    named = ", ".join(packages)
    names = {script.package.name for script in table.scripts}
    subjects = {subject for script in table.scripts for subject in script.subjects}
    nouns = ", ".join(each.noun for each in SubjectKind if each in subjects)
    what = f" ({nouns})" if subjects - {SubjectKind.SCRIPT} else ""
    if names <= {table.key} and named:
        versions = dict.fromkeys(script.package.version for script in table.scripts)
        return f"{table.key} {', '.join(versions)}{what}"
    return f"{shown(table.key)}: {named}{what}" if named else shown(table.key)


def _why(withheld: WithheldRule) -> str:
    return withheld.why


def _parts(grant: Grant, group: Iterable[WithheldRule]) -> str:
    """Say which part of a preset is meant; nothing for a rule, which has no parts."""
    if grant.rule is not None:
        return ""
    named = [f"`{shown(each.rule.pattern)}`" for each in group]
    more = f" and {len(named) - _MOST_WITHHELD} more" if len(named) > _MOST_WITHHELD else ""
    return f" for {', '.join(named[:_MOST_WITHHELD])}{more}"


def _seen(table: GrantTable) -> Iterator[str]:
    """Say what was seen when it was reviewed, context by context."""
    for snapshot in table.snapshots:
        for sighting in snapshot.sightings:
            yield (
                f"  seen when {snapshot.version} was reviewed ({lock_file.NAME}): "
                f"{evidence.context_text(sighting.context)}, runtime {shown(sighting.runtime)}"
            )
            if not sighting.seen:
                yield "      nothing beyond the baseline"
            for (outcome, kind), group in groupby(
                sorted(sorted(sighting.seen), key=_sort_key), key=_sort_key
            ):
                targets = [seen.target for seen in group]
                more = len(targets) - _MOST_SEEN
                told = "" if outcome is Outcome.DONE else f"{outcome}: "
                told += explanation_text.action_text(kind, targets[:_MOST_SEEN])
                yield f"      {told}{f' and {more} more' if more > 0 else ''}"
    versions = {snapshot.version for snapshot in table.snapshots if snapshot.sightings}
    for version in dict.fromkeys(script.package.version for script in table.scripts):
        if version not in versions:
            yield f"  {version} was seen in no build that was reviewed ({lock_file.NAME})"


def _sort_key(seen: SeenAccess) -> tuple[Outcome, Kind]:
    return seen.outcome, seen.kind
