"""The answer of `why CRATE preset:NAME`: what a preset allows, and who has granted it, and why."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import groupby
from typing import TYPE_CHECKING

from buildperm.errors import BuildpermError
from buildperm.policy import lock_file
from buildperm.policy.kinds import Kind
from buildperm.policy.pattern_set import PatternSet
from buildperm.policy.presets import PRESETS
from buildperm.policy.string_list import literal
from buildperm.presentation import console
from buildperm.presentation.wording import risk_word
from buildperm.printable import shown
from buildperm.report import next_command
from buildperm.workflow import evidence
from buildperm.workflow.grant_inventory import tables
from buildperm.workflow.line_history import LineChange, blame
from buildperm.workflow.manifest_lines import ManifestLines
from buildperm.workflow.script_lookup import find_script, open_view

if TYPE_CHECKING:
    from buildperm.policy.presets import Preset
    from buildperm.workflow.grant_inventory import Grant, GrantTable
    from buildperm.workflow.script_lookup import FoundScript

VERSION = 1
"""Of the JSON document."""

_MARK = "preset:"
_RUNS_MOST = 10


def is_preset(access: str) -> bool:
    """Tell whether a question is about a preset."""
    return access.startswith(_MARK)


@dataclass(frozen=True, slots=True)
class PresetReport:
    """One question about a preset, answered."""

    script: FoundScript
    preset: Preset
    grant: Grant | None  # None where it is not granted.
    table: GrantTable
    runs: tuple[str, ...]  # Programs of the preset that it was seen running; sorted.
    lines_of: ManifestLines
    changes: Mapping[int, LineChange]  # By line of Cargo.toml.

    @classmethod
    def of(cls, words: Sequence[str], crate: str, access: str) -> PresetReport:
        """Find the answer; nothing is built and nothing is written.

        Args:
            words: For Cargo.
            crate: Which crate is meant.
            access: `preset:NAME`.

        Raises:
            BuildpermError: There is no such preset or crate, or something is broken.
        """
        name = access.removeprefix(_MARK)
        if name not in PRESETS:
            close = get_close_matches(name, PRESETS, 1)
            hint = f"Did you mean `{close[0]}`? " if close else ""
            raise BuildpermError(
                f"there is no preset `{name}`", hint=f"{hint}There are {', '.join(PRESETS)}."
            )
        view = open_view(words)
        workspace = view.workspace
        script = find_script(view, crate)
        snapshots = lock_file.read(workspace.project.metadata.root / lock_file.NAME)
        lines = ManifestLines(workspace.manifest, workspace.manifest_path)
        (table,) = tables(view, lines, snapshots, [script], [script.key])
        own = script.grants.presets if script.grants else frozenset()
        grant = next(
            (each for each in table.grants if each.preset == name and name in own),
            None,
        )
        changes = blame(workspace.manifest_path, table.lines())
        known = evidence.gather(
            [script], view.targets, snapshots, console.print_warning, view.reach.members
        )[script.package.id]
        programs = PatternSet(
            rule.pattern for rule in PRESETS[name].rules if rule.kind is Kind.EXEC
        )
        seen = {
            access.target
            for access in known.accesses()
            if access.kind is Kind.EXEC and programs.covers(access.target)
        }
        return cls(script, PRESETS[name], grant, table, tuple(sorted(seen)), lines, changes)

    @property
    def is_allowed(self) -> bool:
        """Tell whether the crate may do at least a part of it."""
        if self.grant is None or self.table.not_in_force:
            return False
        return {each.rule for each in self.grant.withheld} < set(self.preset.rules)

    @property
    def sentence(self) -> str:
        """Return the verdict, without a full stop."""
        what = f"preset `{self.preset.name}`, which may {self.preset.title}"
        who = f"`{shown(self.script.key)}`"
        if self.grant is None:
            return f"refused: {who} is not granted {what}"
        if self.is_allowed:
            return f"allowed: {who} is granted {what}"
        why = self.table.not_in_force or self.grant.withheld[0].why
        return f"refused: {who} is granted {what}, but that is not in force: {shown(why)}"

    def lines(self) -> Iterator[str]:
        """Return plain lines, the verdict first."""
        preset = self.preset
        yield f"{self.sentence}."
        if self.grant is not None:
            yield f"Granted in {self._at(self.grant.line)}."
            reason = self.table.reason
            yield f"Reason there: {shown(reason)}" if reason else "No `reason` is written there."
        yield f"Risk {risk_word(preset.risk)}: {preset.why}."
        ran = ", ".join(map(shown, self.runs[:_RUNS_MOST]))
        more = len(self.runs) - _RUNS_MOST
        told = f"{ran} and {more} more" if more > 0 else ran
        yield f"Of its programs it was seen running {told}." if ran else "No use of it was seen."
        yield ""
        yield f"Covers {preset.covers}."
        yield f"Leaves out {preset.leaves_out}."
        yield "Its rules:"
        for kind, rules in groupby(preset.rules, key=lambda rule: rule.kind):
            yield f"    {kind}: {', '.join(rule.pattern for rule in rules)}"
        yield from self._exceptions()
        yield ""
        yield from self._remedy()

    def _exceptions(self) -> Iterator[str]:
        """Say which of the rules do not hold here."""
        withheld = self.grant.withheld if self.grant is not None and self.is_allowed else ()
        for each in withheld:
            yield f"Not in force: `{each.rule.kind} {shown(each.rule.pattern)}`: {shown(each.why)}."
        kinds = {rule.kind for rule in self.preset.rules}
        for denial in self.table.denials:
            if self.grant is not None and denial.rule.kind in kinds:
                what = f"`{denial.rule.kind} {shown(denial.rule.pattern)}`"
                yield f"Denied whatever a preset says: {what} ({self._at(denial.line)})."

    def _remedy(self) -> Iterator[str]:
        name, table = self.preset.name, self.lines_of.table(self.script.key)
        if self.grant is not None:
            change = shlex.quote(f"preset:{name}")
            yield f"To take it away, remove `{name}` from `presets` of"
            yield f"    {table} ({self.lines_of.at(self.grant.line)})."
            yield (
                f"`buildperm simulate {shlex.quote(self.script.key)} --remove {change}` says what "
                "that would refuse."
            )
            return
        had = self.script.grants.presets if self.script.grants else frozenset()
        # A review asks about what was seen; about a preset that nothing was seen of, nobody does.
        decide = f"decide with `{next_command.review()}`, or write" if self.runs else "write"
        yield f"To allow it, {decide} in {self.lines_of.name}:"
        yield f"    {table}"
        yield f"    presets = [{', '.join(map(literal, sorted({*had, name})))}]"

    def _at(self, line: int) -> str:
        change = self.changes.get(line)
        return f"{self.lines_of.at(line)}, {change}" if change else self.lines_of.at(line)

    def document(self) -> dict[str, object]:
        """Return one JSON document."""
        grant, package = self.grant, self.script.package
        change = self.changes.get(grant.line) if grant is not None else None
        return {
            "version": VERSION,
            "crate": self.script.key,
            "name": package.name,
            "package_version": package.version,
            "source": package.source,
            "preset": self.preset.name,
            "seen_running": list(self.runs),
            "preset_version": self.preset.version,
            "allowed": self.is_allowed,
            "sentence": self.sentence,
            "line": grant.line if grant is not None else 0,
            "author": change.author if change else "",
            "date": change.date if change else "",
            "reason": self.table.reason if grant is not None else "",
            "risk": self.preset.risk.name.lower(),
            "why": self.preset.why,
            "covers": self.preset.covers,
            "leaves_out": self.preset.leaves_out,
            "rules": [
                {"kind": str(each.kind), "pattern": each.pattern} for each in self.preset.rules
            ],
            "withheld": [
                {"kind": str(each.rule.kind), "pattern": each.rule.pattern, "why": each.why}
                for each in (grant.withheld if grant is not None else ())
            ],
        }
