"""What crates were seen doing: the recordings on this machine, else `buildperm.lock`.

A recording counts under whatever grants it was made, as long as the package is the same: other
grants do not change what was wanted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from buildperm.cargo import package_folder, units
from buildperm.policy.access import Access, Outcome
from buildperm.policy.combination import combine
from buildperm.policy.fold import fold
from buildperm.policy.grants import parse_key
from buildperm.policy.kinds import Kind
from buildperm.policy.role import OF_SCRIPT, Role, SubjectKind, role_text
from buildperm.policy.sensitivity import why_sensitive
from buildperm.policy.snapshot import Context, SeenAccess, Snapshot, SnapshotRun
from buildperm.report.text import count
from buildperm.rules.pattern import locate
from buildperm.tracer.notation import decode
from buildperm.tracer.recording import reader
from buildperm.tracer.recording.event import RecordedProcess
from buildperm.tracer.recording.reader import End, Recording, RecordingError
from buildperm.tracer.recording_format import CARGO, FULL
from buildperm.workflow.script_lookup import FoundScript

_COMMANDS = ("learn", "review", "ci")
"""What builds, and keeps its recordings; another word in one is of another version."""


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One recorded run on this machine."""

    context: Context
    mode: str  # learning or enforcing.
    modified_s: float  # Seconds since 1970.
    accesses: tuple[Access, ...]
    handed_over: tuple[str, ...]  # Folders of other scripts that it could read, with tokens.
    places: Mapping[str, bytes]  # Folders by token, as they were then.
    incomplete: str  # Why it may be incomplete; empty if it is not.
    processes: tuple[RecordedProcess, ...]  # All programs that were run in it.
    end: End
    is_light: bool  # Files that compilers read are not listed.
    command: str = ""  # That built: see `Header.command`.
    root: bytes = b""  # In the place of the machine's system folders; empty: there was none.
    root_digest: str = ""  # What that was; empty where there was none.

    @property
    def is_learning(self) -> bool:
        """Tell whether it was to show what a crate wants, rather than held to its grants."""
        return self.mode == "learning"

    @property
    def circumstance(self) -> str:
        """Say how it was recorded, and by which command where the recording tells."""
        by = "plain Cargo" if self.command == CARGO else f"`buildperm {self.command}`"
        is_told = self.command == CARGO or self.command in _COMMANDS
        return f"{self.manner} ({by})" if is_told else self.manner

    @property
    def manner(self) -> str:
        """Say how it was recorded."""
        return "while learning" if self.is_learning else "in a held build"


@dataclass(frozen=True, slots=True)
class ContextEvidence:
    """What a build script did in one context."""

    context: Context
    accesses: tuple[Access, ...]
    handed_over: tuple[str, ...]  # Folders of other scripts that it could read, with tokens.
    run: RecordedRun | None  # None where only `buildperm.lock` tells.


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is known of what one build script does."""

    runs: tuple[RecordedRun, ...]  # All that are kept, even several of one context; newest first.
    snapshot: Snapshot | None  # Of this version, from `buildperm.lock`.
    members: Collection[str] = ()  # Keys of the packages of the workspace.

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is known of it."""
        return not self.runs and (self.snapshot is None or not self.snapshot.sightings)

    @property
    def unrecorded(self) -> tuple[SnapshotRun, ...]:
        """Return what the snapshot holds about contexts without a recording."""
        recorded = {run.context for run in self.runs}
        sightings = self.snapshot.sightings if self.snapshot else ()
        return tuple(each for each in sightings if each.context not in recorded)

    def contexts(self) -> list[ContextEvidence]:
        """Return what it did in each context: from recordings, or else from the snapshot."""
        return [
            *(
                ContextEvidence(run.context, run.accesses, run.handed_over, run)
                for run in self.runs
            ),
            *(
                ContextEvidence(
                    sighting.context,
                    tuple(
                        _access(seen, sighting.context, self.members)
                        for seen in sorted(sighting.seen)
                    ),
                    (),
                    None,
                )
                for sighting in self.unrecorded
            ),
        ]

    def accesses(self) -> list[Access]:
        """Return what it did in all contexts together."""
        return combine(sight.accesses for sight in self.contexts())

    def handed_over(self) -> tuple[str, ...]:
        """Return the folders that other scripts handed to it, with tokens."""
        return tuple(dict.fromkeys(folder for run in self.runs for folder in run.handed_over))


def gather(
    scripts: Iterable[FoundScript],
    targets: Iterable[Path],
    snapshots: Mapping[tuple[str, str], Snapshot],
    warn: Callable[[str], None],
    members: Collection[str] = (),
) -> dict[str, Evidence]:
    """Return what is known of each of `scripts`, by package ID.

    Args:
        scripts: Whose recordings are wanted.
        targets: Target directories of supervised builds, whether they exist or not.
        snapshots: Those of `buildperm.lock`.
        warn: Gets one line about each recording that cannot be used.
        members: Keys of the packages of the workspace: the grants of macros hold for these.
    """
    wanted = list(scripts)
    runs: dict[str, list[RecordedRun]] = {}
    for path, modified_s, header in _headers(targets, warn):
        for script in wanted:
            if not _is_of(header, script):
                continue
            run = _run(path, modified_s, header, warn, members)
            if run is not None:
                runs.setdefault(script.package.id, []).append(run)
    return {
        script.package.id: Evidence(
            tuple(sorted(runs.get(script.package.id, ()), key=lambda run: -run.modified_s)),
            snapshots.get((script.key, script.package.version)),
            members,
        )
        for script in wanted
    }


def recordings_of(
    script: FoundScript, targets: Iterable[Path], warn: Callable[[str], None]
) -> Iterator[tuple[Path, float]]:
    """Yield where the recordings of `script` are, and when they were made, since 1970.

    See `gather` for `targets` and `warn`.
    """
    for path, modified_s, header in _headers(targets, warn):
        if _is_of(header, script):
            yield path, modified_s


def was_allowed_by_run(access: Access) -> bool:
    """Tell whether an access was allowed for a reason that only its run knows."""
    return access.is_free or (
        # Harmless directives are recorded without their values.
        access.kind is Kind.DIRECTIVE
        and access.outcome is Outcome.DONE
        and "=" not in access.target
    )


def time_ago(modified_s: float) -> str:
    """Say how long ago a moment was."""
    seconds = max(0, int(time.time() - modified_s))
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return f"{count(seconds // length, unit)} ago"
    return f"{count(seconds, 'second')} ago"


def context_text(context: Context) -> str:
    """Say what a run was for."""
    features = f", features {', '.join(context.features)}" if context.features else ""
    what = " ".join(filter(None, (context.target, context.profile)))
    whom = "" if context.role == OF_SCRIPT else f", {role_text((context.role,))}"
    return f"{what}{features}{whom}".removeprefix(", ")


def _access(seen: SeenAccess, context: Context, members: Collection[str]) -> Access:
    """Rebuild an access from what a snapshot keeps, as far as possible."""
    consumer = context.role.consumer
    return Access(
        seen.kind,
        seen.target,
        seen.outcome,
        1,
        0,
        0,
        (),
        sensitive=why_sensitive(seen.kind, seen.target),
        roles=(context.role,),
        outside=consumer if consumer not in members else "",
    )


def _headers(
    targets: Iterable[Path], warn: Callable[[str], None]
) -> Iterator[tuple[Path, float, _RecordingHeader]]:
    """Yield each recording below `targets` with the time when it was made, and whose it is."""
    for target in targets:
        for path in units.recordings(target):
            try:
                yield path, path.stat().st_mtime, _header(path)
            except (OSError, RecordingError) as error:
                warn(_unusable(path, error))


def _run(
    path: Path,
    modified_s: float,
    header: _RecordingHeader,
    warn: Callable[[str], None],
    members: Collection[str],
) -> RecordedRun | None:
    """Read a whole recording; None if it cannot be read."""
    try:
        found = reader.read(path)
    except RecordingError as error:
        warn(_unusable(path, error))
        return None
    places = found.header.places
    return RecordedRun(
        header.context,
        found.header.mode,
        modified_s,
        tuple(fold(found, members)),
        tuple(locate(folder, places) for folder in found.header.handed_over),
        places,
        _incomplete(found),
        tuple(found.processes.values()),
        found.end,
        found.header.observation != FULL,
        found.header.command,
        found.header.root.path if found.header.root else b"",
        found.header.root.digest if found.header.root else "",
    )


def _incomplete(found: Recording) -> str:
    if found.end.voided:
        return found.end.voided
    if found.end.dropped:
        return f"{count(found.end.dropped, 'event')} did not fit into the recording"
    if found.end.exit != 0:
        what = "script" if found.header.subject == SubjectKind.SCRIPT else "run"
        return f"the {what} ended with exit code {found.end.exit}"
    if found.header.observation != FULL:
        return "files that compilers read are not listed (`ci --observe everything` lists them)"
    return ""


@dataclass(frozen=True, slots=True)
class _RecordingHeader:
    """The part of a recording's first line that tells whose it is."""

    identity: tuple[str, str, str, str]  # Name, version, source, checksum.
    directory: str  # Of the manifest, portable; where a macro was expanded.
    crate: str  # The key that its grants had.
    context: Context


def _header(path: Path) -> _RecordingHeader:
    """Read only the first line: a recording can be long.

    Raises:
        RecordingError: It cannot be used.
    """
    with path.open("rb") as file:
        line = file.readline()
    try:
        said: Any = json.loads(line)
        places = {token: decode(place) for token, place in said["places"].items()}
        role = Role(SubjectKind(said.get("subject", SubjectKind.SCRIPT)))
        if role.subject is SubjectKind.MACRO:
            role = replace(role, consumer=str(said["consumer"]["crate"]))
        directory = package_folder.portable(places.pop("MANIFEST_DIR"), places)
        identity = (
            str(said["name"]),
            str(said["crate_version"]),
            str(said["source"]),
            str(said["checksum"]),
        )
        features = tuple(sorted(map(str, said["features"])))
        context = Context(str(said["target"]), str(said["profile"]), features, role)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        reader.read(path)  # Its error is more precise.
        raise RecordingError(f"the recording `{path}` has no header") from error
    return _RecordingHeader(identity, directory, str(said["crate"]), context)


def _is_of(header: _RecordingHeader, script: FoundScript) -> bool:
    package = script.package
    now = package.name, package.version, package.source, script.checksum
    # Several packages without a source may share a name and a version.
    is_here = header.directory == script.directory
    if header.context.role.subject is SubjectKind.MACRO:
        is_here = _without_version(header.crate) == _without_version(script.key)
    return header.identity == now and bool(package.source or is_here)


def _without_version(key: str) -> str:
    try:
        return str(replace(parse_key(key), version=""))
    except ValueError:
        return key


def _unusable(path: Path, error: OSError | RecordingError) -> str:
    if isinstance(error, OSError):
        return f"no recording in `{path.parent}`: {error.strerror}"
    return str(error.args[0])
