"""What `export` does: write what was reviewed in a workspace so that others can use it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from buildperm.policy import editor, expiry, imported_grants, lock_file, validation, write_conflicts
from buildperm.policy.grants import CRATES_IO, FORMAT, CrateGrants, parse_key
from buildperm.policy.kinds import Kind
from buildperm.policy.rule import Rule
from buildperm.policy.snapshot import Snapshot
from buildperm.presentation import explanation_text
from buildperm.printable import printable
from buildperm.workflow.script_lookup import FoundScript, WorkspaceView, open_view

_HEAD = """\
# Grants for build scripts and procedural macros, as reviewed. Written by `buildperm export`; taken
# into another workspace by `buildperm import`.
"""
_MOST_NOTED = 12


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A document for others, and what is not in it."""

    text: str
    left_out: tuple[str, ...]  # Each in a sentence without a full stop.


@dataclass(frozen=True, slots=True)
class ReviewedScript:
    """One package as it is locked, and what was reviewed of it."""

    script: FoundScript
    snapshot: Snapshot


def export(form: str) -> ExportResult:
    """Write what was reviewed in the workspace of the current folder.

    Args:
        form: One of `FORMATS`.

    Raises:
        BuildpermError: The workspace cannot be read.
    """
    view = open_view(())
    snapshots = lock_file.read(view.workspace.project.metadata.root / lock_file.NAME)
    return FORMATS[form](view, snapshots)


Snapshots = Mapping[tuple[str, str], Snapshot]


def _grants(view: WorkspaceView, _: Snapshots) -> ExportResult:
    found, left_out = _tables(view)
    parts = [_HEAD, f"version = {FORMAT}\n"]
    for grants in found:
        lines = editor.new_table((), grants.key, grants, is_first=False)
        parts += ["\n", *(f"{line}\n" for line in lines)]
    text = "".join(parts)
    known = imported_grants.parse(text.encode(), Path("export"))
    assert known == {each.key: each for each in found}, "what is written is read back"
    return ExportResult(text, tuple(left_out))


def _json(view: WorkspaceView, snapshots: Snapshots) -> ExportResult:
    done = _grants(view, snapshots)
    document = tomllib.loads(done.text)
    document.setdefault("crates", {})
    return ExportResult(json.dumps(document, indent=2, sort_keys=True) + "\n", done.left_out)


def _tables(view: WorkspaceView) -> tuple[list[CrateGrants], list[str]]:
    """Return what may be given to others, by key, and say what is not."""
    every = (*view.scripts, *view.others)
    own = {script.key for script in every if not script.package.source}
    found: list[CrateGrants] = []
    left_out: list[str] = []
    for key, grants in sorted(view.workspace.policy.crates.items()):
        if key in own or parse_key(key).source.startswith("path+"):
            left_out.append(f"`{printable(key)}` is of this workspace alone")
        elif expiry.is_over(grants.expires, expiry.today()):
            left_out.append(
                f"`{printable(key)}`: {expiry.sentence(grants.expires or expiry.today())}"
            )
        elif not (grants.reviewed or grants.denials):
            left_out.append(f"`{printable(key)}` has no version in `reviewed`")
        else:
            kept = {rule for rule in grants.rules if not _why_kept_back(rule)}
            for rule in sorted(grants.rules - kept):
                what = f"{rule.kind} {printable(rule.pattern)}"
                left_out.append(f"`{printable(key)}`: {what}: {_why_kept_back(rule)}")
            found.append(
                CrateGrants(
                    key,
                    grants.reviewed,
                    grants.presets if grants.reviewed else frozenset(),
                    frozenset(kept) if grants.reviewed else frozenset(),
                    grants.denials,
                    grants.reason,
                    expires=grants.expires,
                )
            )
    return [each for each in found if not each.is_empty()], left_out


def _why_kept_back(rule: Rule) -> str:
    """Say why a rule is not for others, as a clause; empty if it is."""
    if validation.to_grant(rule, reason="") is not None:
        return "it is of the sensitive tier"
    if rule.kind is Kind.WRITE and not write_conflicts.is_own(rule.pattern):
        return "what may be written depends on the workspace"
    if rule.pattern.startswith(("$WORKSPACE", "$GIT")):
        return "it is about files of this workspace"
    return ""


def reviewed(
    view: WorkspaceView, snapshots: Snapshots, *, scripts_only: bool
) -> tuple[list[ReviewedScript], list[str]]:
    """Return the packages that were reviewed as Cargo.lock has them.

    cargo-deny asks about build scripts of the workspace itself, too; the other tools do not.
    """
    found: list[ReviewedScript] = []
    left_out: list[str] = []
    for script in view.scripts:
        if not (script.package.build_scripts if scripts_only else script.package.source):
            continue
        snapshot = snapshots.get((script.key, script.package.version))
        if snapshot is None or snapshot.inputs.checksum != script.checksum:
            left_out.append(f"{script.title} was not reviewed")
        else:
            found.append(ReviewedScript(script, snapshot))
    return found, left_out


def _cargo_deny(view: WorkspaceView, snapshots: Snapshots) -> ExportResult:
    found, left_out = reviewed(view, snapshots, scripts_only=True)
    specs = sorted({f"{each.script.package.name}@{each.script.package.version}" for each in found})
    lines = [
        "# For deny.toml. Written by `buildperm export --format cargo-deny`: the build scripts",
        "# that were reviewed. cargo-deny bans all that are not listed.",
        "[bans.build]",
        "allow-build-scripts = [",
        *(f"    {json.dumps(spec)}," for spec in specs),
        "]",
    ]
    return ExportResult("".join(f"{line}\n" for line in lines), tuple(left_out))


def _seen(snapshot: Snapshot) -> list[str]:
    """Say what was seen beyond the baseline when it was reviewed, each in a clause."""
    every = {access for sighting in snapshot.sightings for access in sighting.seen}
    told = {
        f"{explanation_text.action_text(each.kind, [each.target])} ({each.outcome})"
        for each in every
    }
    return sorted(told)


def _account(each: ReviewedScript) -> list[str]:
    script, snapshot = each.script, each.snapshot
    nouns = " and ".join(subject.noun for subject in script.subjects)
    runtimes = sorted({sighting.runtime for sighting in snapshot.sightings})
    lines = [
        f"buildperm ran the {nouns} of {script.title} in a sandbox "
        f"({', '.join(runtimes) or 'it did not run'}).",
    ]
    seen = _seen(snapshot)
    if not seen:
        lines.append("It was seen doing nothing beyond what every build script may do.")
    else:
        lines.append("Beyond what every build script may do, it was seen to:")
        more = len(seen) - _MOST_NOTED
        lines += [f"- {clause}" for clause in seen[:_MOST_NOTED]]
        lines += [f"- and {more} more" if more > 0 else ""][: more > 0]
    lines.append("This is about what ran while it was built, on one machine; nobody read the code.")
    return lines


def _cargo_vet(view: WorkspaceView, snapshots: Snapshots) -> ExportResult:
    found, left_out = reviewed(view, snapshots, scripts_only=False)
    parts = [
        "# For supply-chain/audits.toml of cargo-vet. Written by `buildperm export --format\n"
        "# cargo-vet` from recordings. Who puts an entry there vouches for it: read the notes,\n"
        '# and add `who = "NAME <ADDRESS>"`.\n'
    ]
    for each in found:
        package = each.script.package
        if package.source not in CRATES_IO:
            left_out.append(f"{each.script.title} is not from crates.io")
            continue
        notes = json.dumps("\n".join(map(printable, _account(each))), ensure_ascii=False)
        parts.append(
            f"\n[[audits.{package.name}]]\n"
            'criteria = "safe-to-run"\n'
            f"version = {json.dumps(package.version)}\n"
            f"notes = {notes}\n"
        )
    return ExportResult("".join(parts), tuple(left_out))


def _crev(view: WorkspaceView, snapshots: Snapshots) -> ExportResult:
    found, left_out = reviewed(view, snapshots, scripts_only=False)
    documents = []
    for each in found:
        package = each.script.package
        if package.source not in CRATES_IO:
            left_out.append(f"{each.script.title} is not from crates.io")
            continue
        comment = "".join(f"  {printable(line)}\n" for line in _account(each))
        documents.append(
            "# Not signed: `from`, `date` and `digest` are for `cargo crev crate review`.\n"
            "kind: package review\n"
            "version: -1\n"
            "package:\n"
            "  source: https://crates.io\n"
            f"  name: {package.name}\n"
            f"  version: {json.dumps(package.version)}\n"
            "review:\n"
            "  thoroughness: none\n"
            "  understanding: none\n"
            "  rating: neutral\n"
            f"comment: |-\n{comment}"
        )
    return ExportResult("---\n".join(documents), tuple(left_out))


FORMATS: dict[str, Callable[[WorkspaceView, Snapshots], ExportResult]] = {
    "grants": _grants,
    "json": _json,
    "cargo-deny": _cargo_deny,
    "cargo-vet": _cargo_vet,
    "crev": _crev,
}
