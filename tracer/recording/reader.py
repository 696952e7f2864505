"""Reads recordings back: one file of JSON Lines, checked line by line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from json.scanner import make_scanner
from typing import TYPE_CHECKING

from buildperm.errors import BuildpermError
from buildperm.tracer.notation import decode
from buildperm.tracer.recording.parser import Fields, event, process
from buildperm.tracer.recording_format import FULL, SCRIPT, SUBJECTS, VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from buildperm.tracer.recording.event import Event, RecordedProcess


_scan = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]  # typeshed: its result
_CHAIN_MAX = 1000  # Processes above one another; more is a loop in a broken file.


class RecordingError(BuildpermError):
    """A recording cannot be used."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """The package whose code a macro was run for."""

    crate: str  # Key of its grants in Cargo.toml.
    name: str
    version: str
    source: str  # Cargo's source string; empty for a path.


@dataclass(frozen=True, slots=True)
class Restored:
    """That a result was put back; the recording is of the run that had made it."""

    at_s: int  # When it was recorded, in seconds since 1970.
    by: str  # Who did: a user of a host.


@dataclass(frozen=True, slots=True)
class SystemRoot:
    """What stood in the place of the machine's system folders."""

    path: bytes
    digest: str  # `sha256:` and so on.


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """That a script was to run on an engine."""

    at: str  # Its address.
    why: str  # Why it has run here; empty if it has run there.
    is_kept: bool = False  # The engine has run nothing: it kept this from an earlier action.


@dataclass(frozen=True, slots=True)
class Header:
    """Which run a recording is of, and under which conditions."""

    crate: str  # Key of its grants in Cargo.toml.
    name: str
    crate_version: str
    source: str  # Cargo's source string; empty for a path.
    checksum: str  # From Cargo.lock; empty where there is none.
    target: str
    host: str
    profile: str  # Cargo's: debug or release.
    features: tuple[str, ...]
    kernel: str
    runtime: str
    landlock_abi: int
    mode: str  # learning or enforcing.
    buildperm: str
    session: str  # Digest of the grants that the run was held to.
    places: Mapping[str, bytes]  # Portable token without `$` to absolute path.
    path: bytes = b""  # PATH of the script; empty if unknown.
    tools: tuple[bytes, ...] = ()  # Programs of Cargo that could be run, links resolved.
    left_open: tuple[str, ...] = ()  # What the runtime does not stop, in sentences.
    handed_over: tuple[bytes, ...] = ()  # What could be read because of what was run.
    listed: tuple[bytes, ...] = ()  # Folders that could be listed for the same reason.
    harmless: tuple[bytes, ...] = ()  # Settings without a secret, which anybody could read.
    left_out: Mapping[str, bytes] = field(default_factory=dict)  # See rules.containment, `told`.
    held: Mapping[bytes, str] = field(default_factory=dict)  # Paths that are sensitive, and why.
    foreign: tuple[bytes, ...] = ()  # What lies in the package's folder and is not its own.
    subject: str = SCRIPT  # What of the package was run: see recording_format.SUBJECTS.
    consumer: Consumer | None = None  # Of a macro.
    observation: str = FULL  # Or light: see recording_format.LIGHT.
    command: str = ""  # Of buildperm, or recording_format.CARGO; empty before there was this.
    unlisted: tuple[bytes, ...] = ()  # Folders: what the script itself read there is not listed.
    restored: Restored | None = None  # None: the script has run.
    root: SystemRoot | None = None  # None: it saw the machine's own system folders.
    remote: Elsewhere | None = None  # None: it was to run here.
    wasi_compared_s: int | None = None  # It ran as WASI, compared then: time.time.


@dataclass(frozen=True, slots=True)
class End:
    """How the run ended."""

    status: int  # Wait status of the script: wait(2).
    exit: int  # What the supervisor returned to Cargo.
    duration_ns: int
    left_running: int  # Processes that had to be killed when the script had ended.
    dropped: int  # Events that did not fit, repetitions included.
    voided: str  # Why the recording cannot be relied on; empty if it can.
    failure: str  # Why buildperm failed the run; empty if it did not.
    unseen: str = ""  # Why environment reads could not be seen; empty if they could.
    programs: tuple[str, ...] = ()  # Executable files that it left, in notation, from OUT_DIR on.
    programs_unlisted: int = 0  # How many more there are.
    tokens: int = 0  # Of Cargo's job server, that it had kept and that were put back.


@dataclass(frozen=True, slots=True)
class Recording:
    """One run of one build script."""

    header: Header
    processes: Mapping[int, RecordedProcess]  # By key: see `Process.pid`.
    events: tuple[Event, ...]  # In the order of their first occurrence.
    end: End
    _chains: dict[int, tuple[RecordedProcess, ...]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def chain(self, pid: int) -> tuple[RecordedProcess, ...]:
        """Return the processes that led to `pid`, the build script first and `pid` last."""
        known = self._chains.get(pid)
        if known is not None:
            return known
        found: list[RecordedProcess] = []
        current = self.processes.get(pid)
        while current is not None and len(found) < _CHAIN_MAX:
            found.append(current)
            current = self.processes.get(current.parent)
        chain = self._chains[pid] = tuple(reversed(found))
        return chain


def read(path: Path) -> Recording:
    """Read the recording at `path`.

    Raises:
        RecordingError: There is none, it was cut short, a newer buildperm wrote it, or a line of it
            is broken.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise RecordingError(
            f"cannot read the recording `{path}`: {error.strerror}",
            hint="Run `buildperm learn` to record the build.",
        ) from error
    header: Header | None = None
    end: End | None = None
    processes: dict[int, RecordedProcess] = {}
    events: list[Event] = []
    for number, line in enumerate(lines, 1):
        try:
            fields = Fields(_parsed(line))
            kind = fields.text("type")
            if end is not None:
                raise ValueError("there is something after the last line")  # noqa: TRY301
            if header is None:
                header = _header(fields, kind, path)
            elif kind == "process":
                made = process(fields)
                processes[made.pid] = made
            elif kind == "end":
                end = _end(fields)
            else:
                events.append(event(kind, fields))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            if number == len(lines) and end is None:
                break  # half a line: cut short
            raise RecordingError(
                f"the recording `{path}` is broken at line {number}: {_reason(error)}",
                hint="Delete it and record the build again.",
            ) from error
    if header is None or end is None:
        raise RecordingError(
            f"the recording `{path}` was cut short: it has no last line",
            hint="Record the build again.",
        )
    return Recording(header, processes, tuple(events), end)


def _parsed(line: bytes) -> object:
    """Parse one line as `json.loads` does, without its detours: there can be 250,000 lines."""
    try:
        text = line.decode()
        value, end = _scan(text, 0)
        if end == len(text):
            return value
    except (StopIteration, ValueError):
        pass
    return json.loads(line)


def _header(fields: Fields, kind: str, path: Path) -> Header:
    if kind != "header":
        raise ValueError("it is not a header")
    version = fields.number("version")
    if version > VERSION:
        raise RecordingError(
            f"the recording `{path}` has format {version}; this buildperm knows up to {VERSION}",
            hint="Use the buildperm that recorded it, or record the build again.",
        )
    return Header(
        crate=fields.text("crate"),
        name=fields.text("name"),
        crate_version=fields.text("crate_version"),
        source=fields.text("source"),
        checksum=fields.text("checksum"),
        target=fields.text("target"),
        host=fields.text("host"),
        profile=fields.text("profile"),
        features=fields.texts("features"),
        kernel=fields.text("kernel"),
        runtime=fields.text("runtime"),
        landlock_abi=fields.number("landlock_abi"),
        mode=fields.text("mode"),
        buildperm=fields.text("buildperm"),
        session=fields.text("session"),
        places=fields.places("places"),
        path=decode(fields.text("path", "")),
        left_open=fields.texts("left_open", []),
        tools=tuple(map(decode, fields.texts("tools", []))),
        handed_over=tuple(map(decode, fields.texts("handed_over", []))),
        listed=tuple(map(decode, fields.texts("listed", []))),
        harmless=tuple(map(decode, fields.texts("harmless", []))),
        left_out=fields.places("left_out", {}),
        held=fields.reasons("held"),
        foreign=tuple(map(decode, fields.texts("foreign", []))),
        subject=_subject(fields),
        consumer=_consumer(fields),
        observation=fields.text("observation", FULL),
        command=fields.text("command", ""),
        unlisted=tuple(map(decode, fields.texts("unlisted", []))),
        restored=_restored(fields),
        root=_root(fields),
        remote=_elsewhere(fields),
        wasi_compared_s=_wasi(fields),
    )


def _subject(fields: Fields) -> str:
    subject = fields.text("subject", SCRIPT)
    if subject not in SUBJECTS:
        raise ValueError(f"it is of an unknown subject {subject!r}")
    return subject


def _consumer(fields: Fields) -> Consumer | None:
    if "consumer" not in fields.line:
        return None
    told = Fields(fields.line["consumer"])
    return Consumer(
        told.text("crate"), told.text("name"), told.text("version"), told.text("source")
    )


def _root(fields: Fields) -> SystemRoot | None:
    if "root" not in fields.line:
        return None
    told = Fields(fields.line["root"])
    return SystemRoot(decode(told.text("path")), told.text("digest"))


def _restored(fields: Fields) -> Restored | None:
    if "restored" not in fields.line:
        return None
    told = Fields(fields.line["restored"])
    return Restored(told.number("at"), told.text("by"))


def _elsewhere(fields: Fields) -> Elsewhere | None:
    if "remote" not in fields.line:
        return None
    told = Fields(fields.line["remote"])
    return Elsewhere(told.text("at"), told.text("why"), told.flag("kept"))


def _wasi(fields: Fields) -> int | None:
    return Fields(fields.line["wasi"]).number("compared_s") if "wasi" in fields.line else None


def _end(fields: Fields) -> End:
    return End(
        status=fields.number("status"),
        exit=fields.number("exit"),
        duration_ns=fields.number("duration_ns"),
        left_running=fields.number("left_running"),
        dropped=fields.number("dropped"),
        voided=fields.text("voided"),
        failure=fields.text("failure"),
        unseen=fields.text("unseen", ""),
        programs=fields.texts("programs", []),
        programs_unlisted=fields.number("programs_unlisted", 0),
        tokens=fields.number("tokens", 0),
    )


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON at column {error.colno}"
    return f"it is of an unknown type {error}" if isinstance(error, KeyError) else str(error)
