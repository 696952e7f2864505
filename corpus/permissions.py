"""Derives an index of permissions from the results: `corpus/index`, which `info --index` reads.

A crate is in it where its result says all: it ran, was refused nothing, has one version in the lock
file of its group, and was granted nothing that is of one machine alone. When, by which rustc and
under which runtime it was recorded, results do not say.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from buildperm.cargo import lock
from buildperm.policy.entry_list import FILE, EntryList, entry_path
from buildperm.policy.grants import CRATES_IO
from buildperm.policy.kinds import GRANTABLE, Kind
from buildperm.policy.permission_entry import Ask, Origin, PermissionEntry
from buildperm.policy.presets import PRESETS
from buildperm.policy.risk import assess_rule
from buildperm.policy.role import SubjectKind
from buildperm.policy.rule import Rule
from corpus.entries import HERE, lock_of

INDEX = HERE / "index"
_UNKNOWN = Origin("", "", "", "", "", "enforcing")
_OF_ONE_MACHINE = ("$HOME", "REGISTRY-HASH", "a-package-registry")


def index_files(records: Mapping[str, Any]) -> dict[str, bytes]:
    """Return every file of the index, by its path in it."""
    files: dict[str, bytes] = {}
    for group, record in sorted(records.items()):
        for entry in _entries(group, record):
            files.setdefault(entry_path(entry.name, entry.version), entry.dump())
    hashes = {path: hashlib.sha256(raw).hexdigest() for path, raw in files.items()}
    return files | {FILE: EntryList(hashes).dump()}


def write_index(records: Mapping[str, Any], folder: Path = INDEX) -> None:
    """Write the index anew."""
    shutil.rmtree(folder, ignore_errors=True)
    for path, raw in index_files(records).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(raw)


def _entries(group: str, record: Mapping[str, Any]) -> Iterator[PermissionEntry]:
    path = lock_of(group)
    if not path.exists():
        return
    locked: dict[str, list[lock.PackageIdentity]] = {}
    for identity in lock.read(path).packages:
        locked.setdefault(identity.name, []).append(identity)
    for crate, script in record.get("scripts", {}).items():
        known = locked.get(crate, [])
        if len(known) == 1 and known[0].version == script["version"]:
            asks = _asks(crate, record) if _is_whole(script) else None
            if asks is not None and known[0].source in CRATES_IO:
                ran = tuple(each for each in SubjectKind if each in script["subjects"])
                yield PermissionEntry(
                    crate, script["version"], known[0].checksum, ran, asks, "", None, _UNKNOWN
                )


def _is_whole(script: Mapping[str, Any]) -> bool:
    return not script["failure"] and not script["findings"]


def _asks(crate: str, record: Mapping[str, Any]) -> tuple[Ask, ...] | None:
    """Return what a crate was granted as what it asks; None where that is not all of it."""
    grants = record["grants"].get(crate, {})
    is_by_hand = any(each["crate"] == crate for each in record["by_hand"])
    if is_by_hand or (record["asked"].get(crate, 0) and not grants):
        return None
    rules = [Rule(kind, each) for kind in GRANTABLE for each in grants.get(str(kind), ())]
    if any(word in rule.pattern for rule in rules for word in _OF_ONE_MACHINE):
        return None
    presets = [PRESETS[name] for name in grants.get("presets", ())]
    asks = [Ask(each.title, each.risk, (Kind.EXEC,), (each.name,)) for each in presets]
    asks += [
        Ask(
            f"{rule.kind.traits.may()} {rule.pattern}",
            assess_rule(rule)[0],
            (rule.kind,),
            (),
            (rule,),
        )
        for rule in rules
    ]
    return tuple(sorted(asks, key=lambda ask: (-ask.risk, ask.title)))
