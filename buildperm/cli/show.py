"""`buildperm show`: what each build script is granted, by whom and since when."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import click

from buildperm.cli import options
from buildperm.errors import ExitCode
from buildperm.policy import lock_file
from buildperm.policy.grants import parse_key
from buildperm.policy.presets import PRESETS
from buildperm.presentation import sentences
from buildperm.presentation.wording import printable, risk_word
from buildperm.report.text import count
from buildperm.workflow.grant_description import Description
from buildperm.workflow.grant_inventory import Denial, Grant, Table, tables
from buildperm.workflow.line_history import LineChange, blame
from buildperm.workflow.manifest_lines import Lines
from buildperm.workflow.script_lookup import FoundScript, View, look, matched, several

VERSION = 1
"""Of the JSON document."""

_CARGO = "buildperm.cargo"


class _Command(click.Command):
    """Takes any number of crates before `--`, and words for Cargo behind it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_CARGO] = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])


@click.command("show", cls=_Command)
@options.answering
@click.argument("crates", nargs=-1, metavar="[CRATE]... [-- CARGO ARGS]")
@click.pass_context
def command(context: click.Context, *, form: str, crates: tuple[str, ...]) -> int:
    """Say in plain words what each build script is granted, by whom and since when.

    CRATE is a name, a name with its version (`openssl-sys@0.9.104`), or a key of the grant table;
    what those did when they were reviewed is told as well. Without one, all grants are told.
    Nothing is built and nothing is written.
    """
    view = look(context.meta[_CARGO])
    snapshots = lock_file.read(view.workspace.project.metadata.root / lock_file.NAME)
    lines = Lines(view.workspace.manifest, view.workspace.manifest_path)
    scripts, keys = _meant(view, crates)
    found = tables(view, lines, snapshots, scripts, keys)
    changes = blame(
        view.workspace.manifest_path, (line for table in found for line in table.lines())
    )
    bare = sum(script.grants is None for script in view.scripts)
    if form == "json":
        writing = _Writing(changes, is_asked=bool(crates))
        document = {
            "version": VERSION,
            "manifest": str(view.workspace.manifest_path),
            "crates": [writing.table(table) for table in found],
            "without_grants": bare,
        }
        click.echo(json.dumps(document, indent=2))
    else:
        telling = Description(lines, changes, is_asked=bool(crates))
        for line in (*telling.text(found), *(() if crates else _closing(len(found), bare))):
            click.echo(printable(line))
    return ExitCode.OK


def _meant(view: View, words: Sequence[str]) -> tuple[list[FoundScript], list[str]]:
    """Return the build scripts and the keys that `words` mean; all keys where there are none."""
    known = sorted(view.workspace.policy.crates)
    if not words:
        return list(view.scripts), known
    scripts: dict[str, FoundScript] = {}
    keys: dict[str, None] = {}
    for word in words:
        here = matched(view.scripts, word)
        there = [key for key in known if word in (key, parse_key(key).name)]
        if not there:
            here = several(view, word)
        scripts.update({script.package.id: script for script in here})
        keys.update(dict.fromkeys([*(script.key for script in here), *there]))
    return list(scripts.values()), list(keys)


def _closing(number: int, bare: int) -> Iterator[str]:
    if not number:
        yield "No build script is granted anything."
    if bare:
        other = " other" if number else ""
        yield (
            f"{count(bare, f'{other} build script'.strip())} without grants: within the baseline, "
            "which is what every build script may do."
        )


@dataclass(frozen=True, slots=True)
class _Writing:
    """Writes tables as documents."""

    changes: Mapping[int, LineChange]  # By line of Cargo.toml.
    is_asked: bool  # Certain crates were asked for.

    def table(self, table: Table) -> dict[str, object]:
        told: dict[str, object] = {
            "crate": table.key,
            **self._place(table.line),
            "packages": [
                {
                    "name": script.package.name,
                    "version": script.package.version,
                    "source": script.package.source,
                    "way": list(script.way),
                }
                for script in table.scripts
            ],
            "not_in_force": table.idle,
            "grants": [self._grant(grant) for grant in table.grants],
            "denials": [self._denial(denial) for denial in table.denials],
            "reviewed": [
                {"version": version, **self._place(line)} for version, line in table.reviewed
            ],
            "reason": {"text": table.reason, **self._place(table.reason_line)},
        }
        if self.is_asked:
            told["seen"] = [
                {
                    "version": snapshot.version,
                    "target": sighting.context.target,
                    "profile": sighting.context.profile,
                    "features": list(sighting.context.features),
                    "runtime": sighting.runtime,
                    "accesses": [
                        {
                            "kind": str(seen.kind),
                            "target": seen.target,
                            "outcome": str(seen.outcome),
                        }
                        for seen in sorted(sighting.seen)
                    ],
                }
                for snapshot in table.snapshots
                for sighting in snapshot.sightings
            ]
        return told

    def _grant(self, grant: Grant) -> dict[str, object]:
        preset = PRESETS.get(grant.preset)
        return {
            "kind": str(grant.rule.kind) if grant.rule else "preset",
            "pattern": grant.rule.pattern if grant.rule else grant.preset,
            "may": preset.title if preset else _deed(grant),
            "covers": preset.covers if preset else "",
            "leaves_out": preset.leaves_out if preset else "",
            "risk": risk_word(grant.risk),
            "why": grant.why,
            **self._place(grant.line),
            "not_in_force": [
                {"kind": str(each.rule.kind), "pattern": each.rule.pattern, "why": each.why}
                for each in grant.withheld
            ],
            "unused_in": list(grant.unused),
        }

    def _denial(self, denial: Denial) -> dict[str, object]:
        return {
            "kind": str(denial.rule.kind),
            "pattern": denial.rule.pattern,
            "crate": denial.key,
            **self._place(denial.line),
        }

    def _place(self, line: int) -> dict[str, object]:
        """Write a line of Cargo.toml, and its last change: null where git cannot tell."""
        change = self.changes.get(line)
        told = change and {"commit": change.commit, "date": change.date, "author": change.author}
        return {"line": line, "changed": told}


def _deed(grant: Grant) -> str:
    return sentences.deed(grant.rule.kind, [grant.rule.pattern]) if grant.rule else ""
