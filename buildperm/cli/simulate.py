"""`buildperm simulate`: what a change of the grants would refuse, without building."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import click

from buildperm.cli import options
from buildperm.cli.why import BECAUSE
from buildperm.errors import BuildpermError, ExitCode
from buildperm.policy import lock_file
from buildperm.policy.access import Access
from buildperm.policy.explanation import Explanation
from buildperm.policy.grants import CrateGrants, Policy
from buildperm.presentation import sentences
from buildperm.presentation.wording import chain_text, printable, shown
from buildperm.report.text import count
from buildperm.workflow import evidence
from buildperm.workflow.evidence import Sight
from buildperm.workflow.grant_change import Amendment, understood
from buildperm.workflow.replay import Replay, Shift, Stage
from buildperm.workflow.script_lookup import FoundScript, View, look, together

VERSION = 1
"""Of the JSON document."""

_MOST_TOLD = 25  # Accesses; of more the text only tells the number.
_MOST_CHAINS = 5


@click.command("simulate")
@click.option(
    "--remove",
    multiple=True,
    metavar="RULE",
    help="Take a grant away: `exec:perl`, `preset:cc`, or `all`. May be given several times.",
)
@click.option(
    "--replace",
    "replaced",
    multiple=True,
    metavar="OLD=NEW",
    help="Put one grant in the place of another: `read:$WORKSPACE/**=read:$WORKSPACE/proto/**`.",
)
@click.option("--deny", multiple=True, metavar="RULE", help="Add a denial: `env:GITHUB_TOKEN`.")
@options.answering
@click.argument("crate")
@options.CARGO
def command(
    *,
    remove: tuple[str, ...],
    replaced: tuple[str, ...],
    deny: tuple[str, ...],
    form: str,
    crate: str,
    cargo: tuple[str, ...],
) -> int:
    """Say what a change of the grants would refuse, without building.

    CRATE is a name, a name with its version (`openssl-sys@0.9.104`), or a key of the grant table.
    What its build script was seen doing is held against the changed grants: the recordings on this
    machine, and what buildperm.lock keeps of contexts that are not recorded on it. Nothing is built
    and nothing is written.

    Exit code: 0 nothing would be refused that is allowed today, 20 something would.
    """
    view = look(cargo)
    key = together(view, crate)
    policy = view.workspace.policy
    grants = policy.crates.get(key, CrateGrants(key))
    amendment = understood(grants, remove, replaced, deny)
    warnings: dict[str, None] = {}
    replays = _replays(view, _amended(policy, amendment.of(grants)), key, warnings)
    for warning in warnings:
        click.echo(printable(f"warning: {warning}"), err=True)
    if form == "json":
        click.echo(json.dumps(_document(key, amendment, replays, list(warnings)), indent=2))
    else:
        for line in _text(key, amendment, replays):
            click.echo(printable(line))
    return ExitCode.REFUSED if any(each.refused for each in replays) else ExitCode.OK


def _amended(policy: Policy, grants: CrateGrants) -> Policy:
    crates = {**policy.crates, grants.key: grants}
    if grants.is_empty():
        del crates[grants.key]  # As the editor does: another table may hold then.
    return replace(policy, crates=crates)


def _replays(view: View, then: Policy, key: str, warnings: dict[str, None]) -> list[Replay]:
    """Replay whatever is known of the build scripts that the change is about.

    Raises:
        BuildpermError: Nothing is known, so that nobody can say.
    """
    scripts = [
        script
        for script in view.scripts
        if script.key == key or script.under(then) != script.grants
    ]
    snapshots = lock_file.read(view.workspace.project.metadata.root / lock_file.NAME)
    stage = Stage(view, lambda line: warnings.setdefault(line))
    known = evidence.gather(
        scripts, view.targets, snapshots, lambda line: warnings.setdefault(line)
    )
    unknown = [script for script in scripts if known[script.package.id].is_empty]
    replays = [
        stage.replay(script, known[script.package.id], script.under(then))
        for script in scripts
        if script not in unknown
    ]
    if unknown and not any(replay.refused for replay in replays):
        for warning in warnings:
            click.echo(printable(f"warning: {warning}"), err=True)
        raise BuildpermError(
            f"nothing was ever recorded of {_titles(unknown)}: nobody can say what is refused",
            hint="Run `buildperm learn`, which records it.",
        )
    for script in unknown:
        warnings.setdefault(f"{script.title}: never recorded, so that nothing is known of it")
    return replays


def _titles(scripts: Sequence[FoundScript]) -> str:
    return ", ".join(f"`{script.title}`" for script in scripts)


def _text(key: str, amendment: Amendment, replays: Sequence[Replay]) -> Iterator[str]:
    for replay in replays:
        if replay.refused:
            yield f"{replay.script.title}: refused {amendment}, and allowed today:"
            yield from _shifts(key, replay.refused)
            yield ""
        if replay.allowed:
            yield f"{replay.script.title}: allowed {amendment}, and refused today:"
            yield from _shifts(key, replay.allowed)
            yield ""
    refused = sum(len(replay.refused) for replay in replays)
    allowed = sum(len(replay.allowed) for replay in replays)
    told = count(refused, "access", "accesses") if refused else "nothing that was seen"
    more = f", and {count(allowed, 'access', 'accesses')} newly allowed" if allowed else ""
    yield f"`{shown(key)}` {amendment}: {told} would be refused{more}."
    yield f"That is by {_sources(replays)}; nothing was run or written."


def _sources(replays: Sequence[Replay]) -> str:
    runs = [run for replay in replays for run in replay.known.runs]
    kept = sum(len(replay.known.unrecorded) for replay in replays)
    parts = []
    if runs:
        newest = evidence.age(max(run.modified_s for run in runs))
        parts.append(f"{count(len(runs), 'recording')} on this machine, the newest made {newest}")
    if kept:
        parts.append(f"{count(kept, 'run')} that {lock_file.NAME} keeps")
    return " and ".join(parts)


def _shifts(key: str, shifts: Sequence[Shift]) -> Iterator[str]:
    for shift in shifts[:_MOST_TOLD]:
        access = shift.access
        yield f"  {sentences.deed(access.kind, [access.target])}"
        for chain in access.chains[:_MOST_CHAINS]:
            yield f"      by {chain_text(chain)}"
        for when, told in (("today", shift.now), ("then", shift.then)):
            yield f"      {when} {sentences.verdict(key, access.kind, access.target, told)}"
        for sight, seen in shift.seen:
            yield f"      in {_where(sight, seen)}"
    if len(shifts) > _MOST_TOLD:
        yield f"  and {len(shifts) - _MOST_TOLD} more, which `--format json` tells"


def _where(sight: Sight, access: Access) -> str:
    where = evidence.named(sight.context)
    if sight.run is None:
        return f"{where} ({lock_file.NAME})"
    times = count(access.count, "time")
    return (
        f"{where}: {times} by `buildperm {sight.run.command}` {evidence.age(sight.run.modified_s)}"
    )


def _document(
    key: str, amendment: Amendment, replays: Sequence[Replay], warnings: Sequence[str]
) -> dict[str, object]:
    return {
        "version": VERSION,
        "crate": key,
        "removed": [str(item) for item in amendment.removed],
        "replaced": [{"old": str(old), "new": str(new)} for old, new in amendment.replaced],
        "denied": [str(rule) for rule in amendment.denied],
        "scripts": [
            {
                "name": replay.script.package.name,
                "package_version": replay.script.package.version,
                "source": replay.script.package.source,
                "by": "recordings" if replay.known.runs else lock_file.NAME,
                "recorded_runs": len(replay.known.runs),
                "refused": [_shift(key, shift) for shift in replay.refused],
                "allowed": [_shift(key, shift) for shift in replay.allowed],
            }
            for replay in replays
        ],
        "warnings": list(warnings),
    }


def _shift(key: str, shift: Shift) -> dict[str, object]:
    access = shift.access

    def verdict(told: Explanation) -> dict[str, str]:
        return {
            "because": BECAUSE[type(told).__name__],
            "sentence": sentences.verdict(key, access.kind, access.target, told),
        }

    return {
        "kind": str(access.kind),
        "target": access.target,
        "now": verdict(shift.now),
        "then": verdict(shift.then),
        "chains": [list(chain) for chain in access.chains],
        "contexts": [
            {
                "target": sight.context.target,
                "profile": sight.context.profile,
                "features": list(sight.context.features),
                "command": sight.run.command if sight.run else "",
                "at": _moment(sight),
                "outcome": str(seen.outcome),
                "count": seen.count,
                "chains": [list(chain) for chain in seen.chains],
            }
            for sight, seen in shift.seen
        ],
    }


def _moment(sight: Sight) -> str:
    if sight.run is None:
        return ""
    return datetime.fromtimestamp(sight.run.modified_s, UTC).isoformat("T", "seconds")
